//! What was seen of a connection's requests and bytes.
//!
//! The task of the connection writes and reads them, so they are relaxed. They are atomic because that task moves
//! between threads.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A fact about a connection.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, is_so: bool) {
        self.0.store(is_so, Ordering::Relaxed);
    }
}

/// How often something has happened.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A load and a store are enough for one task, and cheaper than an addition in one step.
    fn add(&self) {
        self.0.store(self.get().wrapping_add(1), Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Notes {
    created: Instant,
    /// A request has come.
    pub(super) called: Flag,
    pub(super) http2: Flag,
    /// The last request has a body, which the peer may still be sending.
    pub(super) uploads: Flag,
    /// The response to the last request has begun.
    pub(super) answered: Flag,
    /// It did so before the stop and could not say that the connection closes, so one more request may come.
    pub(super) awaits_one: Flag,
    /// That one is refused, by the end of the connection.
    pub(super) refused: Flag,
    /// The end of the last response is the end of the connection.
    pub(super) ends_with_connection: Flag,
    /// The body of the last response has come to its end.
    pub(super) ended: Flag,
    /// The connection is no longer HTTP's.
    pub(super) upgraded: Flag,

    /// A request may have begun since the last one ended.
    pub(super) heard: Flag,
    reads: Count,
    writes: Count,
    /// How many bytes were written.
    written: AtomicUsize,
    /// How many of them before the last request that came with nothing else in flight.
    before_request: AtomicUsize,
    /// When the last write was, in milliseconds since `created`.
    wrote_at: AtomicU64,
    /// Bytes were written that are not flushed.
    pub(super) unflushed: Flag,
    /// The peer was slower than the response.
    pub(super) blocked: Flag,
    /// A response was sent that is the drain's. Requests that the layer exempts are not.
    pub(super) counted: Flag,
    /// The peer has everything that was written before the stop, and no request has come since.
    pub(super) quiet: Flag,
    /// Everything is written, and the end of the peer is waited for.
    pub(super) closing: Flag,
    /// The end of the stream was sent.
    pub(super) half_closed: Flag,
    /// The connection has ended with bytes that did not reach the peer.
    pub(super) lost: Flag,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self {
            created: Instant::now(),
            called: Flag::default(),
            http2: Flag::default(),
            uploads: Flag::default(),
            answered: Flag::default(),
            awaits_one: Flag::default(),
            refused: Flag::default(),
            ends_with_connection: Flag::default(),
            ended: Flag::default(),
            upgraded: Flag::default(),
            heard: Flag::default(),
            reads: Count::default(),
            writes: Count::default(),
            written: AtomicUsize::new(0),
            counted: Flag::default(),
            before_request: AtomicUsize::new(0),
            wrote_at: AtomicU64::new(0),
            unflushed: Flag::default(),
            blocked: Flag::default(),
            quiet: Flag::default(),
            closing: Flag::default(),
            half_closed: Flag::default(),
            lost: Flag::default(),
        }
    }

    /// A request has come.
    pub(super) fn called(&self, http2: bool, uploads: bool) {
        self.called.set(true);
        self.http2.set(http2);
        self.uploads.set(uploads);
        for over in [&self.heard, &self.answered, &self.awaits_one, &self.quiet] {
            over.set(false);
        }
    }

    /// A response has begun. `ends_with_connection` says that nothing but the end of the connection ends the body.
    pub(super) fn answered(&self, ends_with_connection: bool) {
        self.answered.set(true);
        self.ends_with_connection.set(ends_with_connection);
        self.ended.set(false);
    }

    /// Returns `true` if the end of the connection would pass for the end of a response that is not whole.
    pub(super) fn is_cut_short(&self) -> bool {
        let is_sent = self.ended.get() && !self.unflushed.get();
        self.ends_with_connection.get() && !is_sent
    }

    /// Line ends between two requests are skipped by the parser, and begin none.
    pub(super) fn read(&self, bytes: &[u8]) {
        self.reads.add();
        if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.heard.set(true);
        }
    }

    pub(super) fn writes(&self) {
        self.writes.add();
        self.unflushed.set(true);
        let now = self.created.elapsed().as_millis() as u64;
        self.wrote_at.store(now, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        let written = self.written.load(Ordering::Relaxed);
        self.written
            .store(written.wrapping_add(bytes), Ordering::Relaxed);
    }

    /// Returns how many bytes were written, and whether the end of the stream was sent behind them. In this order: an
    /// end that is seen has all bytes before it.
    pub(super) fn written(&self) -> (usize, bool) {
        let has_ended = self.half_closed.get();
        (self.written.load(Ordering::Relaxed), has_ended)
    }

    /// Returns `true` if the last write was that long ago.
    pub(super) fn wrote_before(&self, long: Duration) -> bool {
        let at = Duration::from_millis(self.wrote_at.load(Ordering::Relaxed));
        self.created.elapsed().saturating_sub(at) >= long
    }

    /// A request has come with nothing else in flight.
    pub(super) fn begins(&self) {
        let written = self.written.load(Ordering::Relaxed);
        self.before_request.store(written, Ordering::Relaxed);
    }

    /// Returns how many bytes were written since then.
    pub(super) fn since_request(&self) -> usize {
        let written = self.written.load(Ordering::Relaxed);
        written.wrapping_sub(self.before_request.load(Ordering::Relaxed))
    }

    /// Changes with every byte that comes or goes.
    pub(super) fn activity(&self) -> usize {
        self.reads.get().wrapping_add(self.writes.get())
    }

    /// Returns `true` if no request has come, and no settings of HTTP/2 have gone out.
    pub(super) fn is_unused(&self) -> bool {
        !self.called.get() && self.writes.get() == 0
    }
}
