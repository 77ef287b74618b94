//! What a connection has to do, seen from outside hyper.
//!
//! One word holds how much is in flight and what the connection was told, so that the release of the last thing in
//! flight sees by itself whether somebody waits for it. Everything else here is written and read by the task of the
//! connection alone; it is atomic because that task moves between threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;

/// Requests go out, and new ones are unwelcome.
pub(super) const STOP: usize = 1;
/// The drain is over: nobody holds a guard any more.
pub(super) const DRAINED: usize = 2;
/// Drop everything.
pub(super) const ABANDON: usize = 4;
const ONE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Tally {
    word: AtomicUsize,
    /// HTTP/2 streams with a task of their own: each is in flight as well, and the last of a tunnel.
    streams: AtomicUsize,
    task: AtomicWaker,

    /// A request has come.
    called: AtomicBool,
    http2: AtomicBool,
    /// Bytes came since the last request ended.
    heard: AtomicBool,
    /// Anything was written.
    wrote: AtomicBool,
    /// Bytes were written that are not flushed.
    unflushed: AtomicBool,
    /// The peer was slower than the answer.
    blocked: AtomicBool,
    /// Everything is written, and the peer is still reading.
    lingering: AtomicBool,
}

/// The word at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    word: usize,
    streams: usize,
}

impl Standing {
    pub(super) fn was_told(self, what: usize) -> bool {
        self.word & what != 0
    }

    fn in_flight(self) -> usize {
        self.word / ONE
    }

    /// A request, or bytes of its answer that HTTP/2 still holds.
    pub(super) fn has_requests(self) -> bool {
        self.in_flight() > self.streams
    }

    /// A tunnel through HTTP/2 is its taker's, and so is the connection under it until the drain is over.
    pub(super) fn is_over(self) -> bool {
        match self.was_told(DRAINED) {
            true => !self.has_requests(),
            false => self.in_flight() == 0,
        }
    }
}

impl Tally {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Tells the task of the connection.
    pub(super) fn tell(&self, what: usize) {
        self.word.fetch_or(what, Ordering::AcqRel);
        self.task.wake();
    }

    /// The waker goes in before the word is read, or a `tell` in between is lost.
    pub(super) fn listen(&self, waker: &Waker) -> Standing {
        self.task.register(waker);
        self.standing()
    }

    /// Acquire, for what was released before: a stream that is over has handed its last frame to HTTP/2, which the
    /// next poll of the connection must see.
    pub(super) fn standing(&self) -> Standing {
        let word = self.word.load(Ordering::Acquire);
        let streams = self.streams.load(Ordering::Acquire);
        Standing { word, streams }
    }

    fn hold(self: &Arc<Self>) -> Held {
        self.word.fetch_add(ONE, Ordering::Relaxed);
        Held(self.clone())
    }

    /// A request came.
    pub(super) fn request(self: &Arc<Self>, http2: bool) -> Held {
        self.called.store(true, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
        if http2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        let held = self.hold();
        if self.standing().in_flight() == 1 {
            // An earlier answer was slow, and is read by now.
            self.blocked.store(false, Ordering::Relaxed);
        }
        held
    }

    /// A task of HTTP/2 came.
    pub(super) fn stream(self: &Arc<Self>) -> StreamHeld {
        self.streams.fetch_add(1, Ordering::AcqRel);
        StreamHeld { _held: self.hold() }
    }

    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    pub(super) fn writes(&self) {
        self.wrote.store(true, Ordering::Relaxed);
        self.unflushed.store(true, Ordering::Relaxed);
    }

    pub(super) fn flushed(&self) {
        self.unflushed.store(false, Ordering::Relaxed);
    }

    pub(super) fn blocks(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(super) fn lingers(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }

    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed)
    }

    /// No request has come, and no settings of HTTP/2 have gone out.
    pub(super) fn is_unused(&self) -> bool {
        !self.called.load(Ordering::Relaxed) && !self.wrote.load(Ordering::Relaxed)
    }

    /// The peer has begun a request, or has yet to send its first. HTTP/2 sends other frames than requests, and may
    /// be idle for as long as it likes.
    pub(super) fn awaits_head(&self) -> bool {
        let begun = self.called.load(Ordering::Relaxed)
            && !self.http2.load(Ordering::Relaxed)
            && self.heard.load(Ordering::Relaxed);
        (begun || self.is_unused()) && self.standing().in_flight() == 0
    }
}

/// One more thing in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Tally>);

impl Held {
    /// For the bytes of the same request.
    pub(super) fn again(&self) -> Self {
        self.0.hold()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.0.word.fetch_sub(ONE, Ordering::AcqRel);
        if before / ONE == 1 {
            self.0.heard.store(false, Ordering::Relaxed);
        }
        if before % ONE != 0 {
            self.0.task.wake();
        }
    }
}

/// A task of HTTP/2 in flight.
#[derive(Debug)]
pub(super) struct StreamHeld {
    _held: Held,
}

impl Drop for StreamHeld {
    fn drop(&mut self) {
        // Before the word: a standing read in between shows a request too many, never one too few.
        self._held.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
