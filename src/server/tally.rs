//! What a connection has to do, seen from outside hyper.
//!
//! One word holds how much is in flight and what the connection was told, so that the release of the last thing in
//! flight sees whether the task of the connection must be woken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use atomic_waker::AtomicWaker;

use super::delivery::{Asks, Carrier, Delivery, Readings};
use super::notes::Notes;

/// Requests go out, and new ones are unwelcome.
pub(super) const STOP: usize = 1;
/// The drain is over: nobody holds a guard any more.
pub(super) const DRAINED: usize = 2;
/// Drop everything.
pub(super) const ABANDON: usize = 4;
const ONE: usize = 8;

#[derive(Debug)]
pub(super) struct Tally {
    word: AtomicUsize,
    /// Of what is in flight, what the drain counts: requests that the layer does not exempt, and bytes of their
    /// responses that HTTP/2 holds after it has taken the body. The rest are exempt requests and tasks of HTTP/2, of
    /// which a tunnel's outlives its request.
    requests: AtomicUsize,
    /// Of those, the handlers and bodies that run.
    running: AtomicUsize,
    task: AtomicWaker,
    pub(super) readings: Readings,
    pub(super) notes: Notes,
}

/// The tally at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    word: usize,
    requests: usize,
}

impl Standing {
    pub(super) fn was_told(self, what: usize) -> bool {
        self.word & what != 0
    }

    pub(super) fn in_flight(self) -> usize {
        self.word / ONE
    }

    /// Returns whether anything that the drain counts is in flight.
    pub(super) fn has_requests(self) -> bool {
        self.requests > 0
    }

    /// Returns whether the connection is done. Exempt requests and tunnels keep it until the drain is over.
    pub(super) fn is_over(self) -> bool {
        match self.was_told(DRAINED) {
            true => !self.has_requests(),
            false => self.in_flight() == 0,
        }
    }
}

impl Tally {
    pub(super) fn new(carrier: Carrier, told: usize, asks: Arc<Asks>) -> Arc<Self> {
        let readings = Readings::new(carrier, asks);
        Arc::new(Self {
            word: AtomicUsize::new(told),
            requests: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            task: AtomicWaker::new(),
            notes: Notes::new(),
            readings,
        })
    }

    /// Tells the task of the connection.
    pub(super) fn tell(&self, what: usize) {
        self.word.fetch_or(what, Ordering::AcqRel);
        self.task.wake();
    }

    /// Has the task of the connection look again.
    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// The waker goes in before the word is read, or a `tell` in between is lost.
    pub(super) fn listen(&self, waker: &Waker) -> Standing {
        self.task.register(waker);
        self.standing()
    }

    /// Acquire, for what was released before: a stream that is over has handed its last frame to HTTP/2, which the
    /// next poll of the connection must see. The word first: what is released in between is seen too late, never too
    /// early.
    pub(super) fn standing(&self) -> Standing {
        let word = self.word.load(Ordering::Acquire);
        let requests = self.requests.load(Ordering::Acquire);
        Standing { word, requests }
    }

    /// Returns whether a handler or a body of the drain's runs, and not only bytes of one are left.
    pub(super) fn has_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    pub(super) fn hold(&self) {
        self.word.fetch_add(ONE, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        let before = self.word.fetch_sub(ONE, Ordering::AcqRel);
        if before / ONE == 1 {
            self.notes.heard.set(false);
        }
        if before % ONE != 0 {
            self.task.wake();
        }
    }

    pub(super) fn hold_request(&self) {
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    /// Before the word is released, so that the task that this wakes sees it.
    pub(super) fn release_request(&self) {
        self.requests.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn hold_running(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn release_running(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// A request has come.
    pub(super) fn called(&self, http2: bool, uploads: bool) {
        self.notes.called(http2, uploads);
        if self.standing().in_flight() == 0 {
            // An earlier response was slow, and is read by now.
            self.notes.blocked.set(false);
            self.notes.begins();
            self.readings.is_read();
            if !http2 {
                self.notes.counted.set(false);
            }
        }
    }

    /// Decides at the stop whether one more request may come: a response is sent whose head may have left the connection
    /// open. If it has not, hyper closes the connection behind it.
    pub(super) fn decide_one_more(&self) {
        let is_sent = self.notes.answered.get() && self.standing().in_flight() > 0;
        self.notes.awaits_one.set(is_sent);
    }

    /// Decides at the stop whether anything may still be on its way to the peer. Where the system does not say, a
    /// response counts as read that was written `long` ago.
    pub(super) fn decide_quiet(&self, long: Duration) {
        let Self { notes, .. } = self;
        let is_read = || match self.delivery() {
            Delivery::Acknowledged => true,
            Delivery::Outstanding => false,
            Delivery::Unknown => notes.wrote_before(long),
        };
        let still_talks = notes.closing.get() && (notes.http2.get() || notes.uploads.get());
        let is_idle = self.standing().in_flight() == 0 && !notes.unflushed.get() && !still_talks;
        notes.quiet.set(!notes.called.get() || is_idle && is_read());
    }

    /// The peer has begun a request, or has yet to send its first. HTTP/2 sends other frames than requests, and may
    /// be idle for as long as it likes after its first.
    pub(super) fn awaits_head(&self) -> bool {
        let Self { notes, .. } = self;
        let has_begun = !notes.http2.get() && notes.heard.get();
        // A response that is still written is the server's turn, whatever the peer has sent ahead.
        let is_peers_turn = !notes.unflushed.get() && !notes.closing.get();
        let awaits = has_begun && is_peers_turn || !notes.called.get();
        awaits && self.standing().in_flight() == 0
    }

    /// Returns `true` if the peer was slower than the response, has taken more than a second to acknowledge it, or may
    /// have left in its own system's hands what nothing says that it has.
    pub(super) fn may_be_slow(&self) -> bool {
        /// What reaches a system whether or not its program reads: the first flight of a connection (RFC 6928).
        const FIRST_FLIGHT: usize = 14_600;
        let is_unsure = self.delivery() == Delivery::Unknown;
        self.notes.blocked.get()
            || self.readings.was_slow()
            || is_unsure && self.notes.since_request() > FIRST_FLIGHT
    }

    /// Returns what is known of the bytes that were written.
    pub(super) fn delivery(&self) -> Delivery {
        let (written, _) = self.notes.written();
        self.readings.delivery(written)
    }
}
