//! What a connection has to do, seen from outside hyper.
//!
//! One word holds how much is in flight and what the connection was told, so that the release of the last thing in
//! flight sees by itself whether somebody waits for it. Everything else here is written by the task of the connection,
//! and readings of its send queue by the server's; it is atomic because that task moves between threads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::Instant;

use super::delivery::{Asks, Delivery, Readings};

/// Requests go out, and new ones are unwelcome.
pub(super) const STOP: usize = 1;
/// The drain is over: nobody holds a guard any more.
pub(super) const DRAINED: usize = 2;
/// Drop everything.
pub(super) const ABANDON: usize = 4;
const ONE: usize = 8;

#[derive(Debug)]
pub(super) struct Tally {
    created: Instant,
    word: AtomicUsize,
    /// In flight, but no request of the drain's: tasks of HTTP/2, of which a tunnel's is the last, and requests that the
    /// layer leaves alone.
    besides: AtomicUsize,
    /// In flight as bytes that HTTP/2 holds after it has taken the body.
    pieces: AtomicUsize,
    task: AtomicWaker,
    readings: Readings,

    /// A request has come.
    called: AtomicBool,
    http2: AtomicBool,
    /// The last request has a body, which the peer may still be sending.
    uploads: AtomicBool,
    /// The response to the last request has begun.
    has_answered: AtomicBool,
    /// It did so before the stop and could not say that the connection closes, so that one more request may come.
    awaits_one: AtomicBool,
    /// That one is not answered.
    refuses: AtomicBool,
    /// The end of the last response is the end of the connection.
    ends_with_connection: AtomicBool,
    /// Its body has come to its end.
    has_ended: AtomicBool,
    /// The connection is no longer HTTP's.
    upgraded: AtomicBool,

    /// Bytes came since the last request ended.
    heard: AtomicBool,
    reads: AtomicUsize,
    writes: AtomicUsize,
    /// When the last write was, in milliseconds since `created`; only where the send queue cannot be read.
    wrote_at: AtomicU64,
    /// Bytes were written that are not flushed.
    unflushed: AtomicBool,
    /// The peer was slower than the answer.
    blocked: AtomicBool,
    /// The peer has everything that was written before the stop, and no request has come since.
    quiet: AtomicBool,
    /// Everything is written, and the end of the peer is waited for.
    closing: AtomicBool,
    /// The end of the stream was sent.
    half_closed: AtomicBool,
    /// The connection has ended with bytes that did not reach the peer.
    lost: AtomicBool,
}

/// The word at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    word: usize,
    besides: usize,
    pieces: usize,
}

impl Standing {
    pub(super) fn was_told(self, what: usize) -> bool {
        self.word & what != 0
    }

    pub(super) fn in_flight(self) -> usize {
        self.word / ONE
    }

    /// A request, or bytes of its response that HTTP/2 still holds.
    pub(super) fn has_requests(self) -> bool {
        self.in_flight() > self.besides
    }

    /// A handler or a body that runs, and not only bytes of one.
    pub(super) fn has_running(self) -> bool {
        self.in_flight() > self.besides + self.pieces
    }

    /// What is no request of the drain's keeps its connection until the drain is over.
    pub(super) fn is_over(self) -> bool {
        match self.was_told(DRAINED) {
            true => !self.has_requests(),
            false => self.in_flight() == 0,
        }
    }
}

impl Tally {
    pub(super) fn new(peer: Option<SocketAddr>, told: usize, asks: Arc<Asks>) -> Arc<Self> {
        Arc::new(Self {
            created: Instant::now(),
            word: AtomicUsize::new(told),
            readings: Readings::new(peer, asks),
            besides: Default::default(),
            pieces: Default::default(),
            task: Default::default(),
            called: Default::default(),
            http2: Default::default(),
            uploads: Default::default(),
            has_answered: Default::default(),
            awaits_one: Default::default(),
            refuses: Default::default(),
            ends_with_connection: Default::default(),
            has_ended: Default::default(),
            upgraded: Default::default(),
            heard: Default::default(),
            reads: Default::default(),
            writes: Default::default(),
            wrote_at: Default::default(),
            unflushed: Default::default(),
            blocked: Default::default(),
            quiet: Default::default(),
            closing: Default::default(),
            half_closed: Default::default(),
            lost: Default::default(),
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
    /// next poll of the connection must see.
    pub(super) fn standing(&self) -> Standing {
        let word = self.word.load(Ordering::Acquire);
        let besides = self.besides.load(Ordering::Acquire);
        let pieces = self.pieces.load(Ordering::Acquire);
        Standing {
            word,
            besides,
            pieces,
        }
    }

    pub(super) fn hold(&self) {
        self.word.fetch_add(ONE, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        let before = self.word.fetch_sub(ONE, Ordering::AcqRel);
        if before / ONE == 1 {
            self.heard.store(false, Ordering::Relaxed);
        }
        if before % ONE != 0 {
            self.task.wake();
        }
    }

    pub(super) fn hold_besides(&self) {
        self.besides.fetch_add(1, Ordering::AcqRel);
    }

    /// Before the word: a standing read in between shows a request too many, never one too few.
    pub(super) fn release_besides(&self) {
        self.besides.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn hold_piece(&self) {
        self.pieces.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn release_piece(&self) {
        self.pieces.fetch_sub(1, Ordering::AcqRel);
    }

    /// A request has come.
    pub(super) fn called(&self, http2: bool, uploads: bool) {
        self.called.store(true, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
        self.has_answered.store(false, Ordering::Relaxed);
        self.awaits_one.store(false, Ordering::Relaxed);
        self.quiet.store(false, Ordering::Relaxed);
        self.http2.store(http2, Ordering::Relaxed);
        self.uploads.store(uploads, Ordering::Relaxed);
        if self.standing().in_flight() == 0 {
            // An earlier response was slow, and is read by now.
            self.blocked.store(false, Ordering::Relaxed);
        }
    }

    /// A response has begun. `ends_with_connection` says that nothing but the end of the connection ends the body.
    pub(super) fn answered(&self, ends_with_connection: bool) {
        self.has_answered.store(true, Ordering::Relaxed);
        self.ends_with_connection
            .store(ends_with_connection, Ordering::Relaxed);
        self.has_ended.store(false, Ordering::Relaxed);
    }

    /// The body of a response has come to its end.
    pub(super) fn ended(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the end of the connection would pass for the end of a response that is not whole.
    pub(super) fn is_cut_short(&self) -> bool {
        let is_sent = self.has_ended.load(Ordering::Relaxed) && !self.is_unflushed();
        self.ends_with_connection.load(Ordering::Relaxed) && !is_sent
    }

    pub(super) fn upgrades(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    pub(super) fn has_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    pub(super) fn uploads(&self) -> bool {
        self.uploads.load(Ordering::Relaxed)
    }

    /// Decides at the stop whether one more request may come: a response is sent whose head may have left the connection
    /// open. If it has not, hyper closes the connection behind it.
    pub(super) fn decide_one_more(&self) {
        let is_sent = self.has_answered.load(Ordering::Relaxed);
        self.awaits_one.store(
            is_sent && self.standing().in_flight() > 0,
            Ordering::Relaxed,
        );
    }

    pub(super) fn awaits_one(&self) -> bool {
        self.awaits_one.load(Ordering::Relaxed)
    }

    pub(super) fn awaits_none(&self) {
        self.awaits_one.store(false, Ordering::Relaxed);
    }

    /// The connection ends without another response.
    pub(super) fn refuses(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_refused(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// Line ends between two requests are skipped by the parser, and begin none.
    pub(super) fn heard(&self, bytes: &[u8]) {
        add(&self.reads);
        if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn writes(&self) {
        add(&self.writes);
        self.unflushed.store(true, Ordering::Relaxed);
        if !self.readings.may_come() {
            let now = self.created.elapsed().as_millis() as u64;
            self.wrote_at.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn flushed(&self) {
        self.unflushed.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed)
    }

    pub(super) fn blocks(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    /// The peer was slower than the response, or has taken more than a second to acknowledge it.
    pub(super) fn may_be_slow(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) || self.readings.was_slow()
    }

    pub(super) fn closes(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The end of the stream is sent. It counts as a write: what was read before says nothing of it.
    pub(super) fn half_closes(&self) {
        add(&self.writes);
        self.half_closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    /// Decides at the stop whether anything may still be on its way to the peer. Where the system does not say, a
    /// response counts as read that was written `long` ago.
    pub(super) fn decide_quiet(&self, long: Duration) {
        let is_read = || match self.delivery() {
            Delivery::Acknowledged => true,
            Delivery::Outstanding => false,
            Delivery::Unknown => self.wrote_before(long),
        };
        let still_talks = self.is_closing() && (self.is_http2() || self.uploads());
        let is_idle = self.standing().in_flight() == 0 && !self.is_unflushed() && !still_talks;
        let is_quiet = !self.has_called() || is_idle && is_read();
        self.quiet.store(is_quiet, Ordering::Relaxed);
    }

    fn wrote_before(&self, long: Duration) -> bool {
        let wrote_at = Duration::from_millis(self.wrote_at.load(Ordering::Relaxed));
        !self.readings.may_come() && self.created.elapsed().saturating_sub(wrote_at) >= long
    }

    pub(super) fn loses(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Changes with every byte that comes or goes.
    pub(super) fn activity(&self) -> usize {
        let reads = self.reads.load(Ordering::Relaxed);
        reads.wrapping_add(self.writes.load(Ordering::Relaxed))
    }

    pub(super) fn write_count(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// No request has come, and no settings of HTTP/2 have gone out.
    pub(super) fn is_unused(&self) -> bool {
        !self.has_called() && self.write_count() == 0
    }

    /// The peer has begun a request, or has yet to send its first. HTTP/2 sends other frames than requests, and may
    /// be idle for as long as it likes after its first.
    pub(super) fn awaits_head(&self) -> bool {
        let begun = !self.is_http2() && self.heard.load(Ordering::Relaxed);
        // A response that is still written is the server's turn, whatever the peer has sent ahead.
        let is_peers_turn = !self.is_unflushed() && !self.is_closing();
        (begun && is_peers_turn || !self.has_called()) && self.standing().in_flight() == 0
    }

    pub(super) fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Returns what is known of the bytes that were written.
    pub(super) fn delivery(&self) -> Delivery {
        let has_ended = self.half_closed.load(Ordering::Relaxed);
        self.readings.delivery(self.write_count(), has_ended)
    }
}

/// Only the task of the connection counts.
fn add(count: &AtomicUsize) {
    let now = count.load(Ordering::Relaxed);
    count.store(now.wrapping_add(1), Ordering::Relaxed);
}
