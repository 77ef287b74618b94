//! Whether what was written has reached the peer.
//!
//! A connection that wants to know asks; the loop of the server reads the send queues once for all that ask, and wakes
//! them. Nothing is read while the server serves.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::{sleep, Instant, Sleep};

use super::send_queues::SendQueues;
use super::tally::Tally;

/// How often the queues are read while a peer has not acknowledged everything, at most.
const PAUSE: Duration = Duration::from_millis(10);
/// How much longer than a reading the pause behind it is, where there are so many sockets that it counts.
const SHARE: u32 = 10;

/// What is known of the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The peer's system has acknowledged everything but, at most, the end of the stream.
    Acknowledged,
    /// It has not, or the last reading is older than the last write.
    Outstanding,
    /// The system does not say.
    Unknown,
}

/// The requests for a reading, shared by all connections of a server.
#[derive(Debug, Default)]
pub(super) struct Asks {
    is_asked: AtomicBool,
    /// The system has no table to read.
    is_blind: AtomicBool,
    reader: AtomicWaker,
}

impl Asks {
    pub(super) fn ask(&self) {
        if !self.is_asked.swap(true, Ordering::AcqRel) {
            self.reader.wake();
        }
    }
}

/// The last reading of one connection.
#[derive(Debug, Default)]
pub(super) struct Readings {
    peer: Option<SocketAddr>,
    asks: Arc<Asks>,
    waits: AtomicBool,
    /// How many writes there had been before it, and one.
    after: AtomicUsize,
    unacknowledged: AtomicU64,
    /// Since which reading it was never zero, in milliseconds.
    outstanding_since: AtomicU64,
    was_slow: AtomicBool,
}

/// For how many milliseconds something is outstanding at a peer that is slow. An acknowledgement may be 500 ms late (RFC
/// 9293, section 3.8.6.3).
const SLOW: u64 = 1000;
const NEVER: u64 = u64::MAX;
/// No reading has found the connection.
const NOT_FOUND: u64 = u64::MAX;

impl Readings {
    pub(super) fn new(peer: Option<SocketAddr>, asks: Arc<Asks>) -> Self {
        Self {
            peer,
            asks,
            outstanding_since: AtomicU64::new(NEVER),
            ..Self::default()
        }
    }

    /// Returns `false` if there will never be one.
    pub(super) fn may_come(&self) -> bool {
        cfg!(target_os = "linux") && self.peer.is_some()
    }

    /// Asks for a reading. The task of the connection is woken when it has come.
    pub(super) fn ask(&self) {
        self.waits.store(true, Ordering::Release);
        self.asks.ask();
    }

    fn stops_waiting(&self) -> bool {
        self.waits.swap(false, Ordering::AcqRel)
    }

    /// Returns what is known after that many writes, of which the last may have been the end of the stream.
    pub(super) fn delivery(&self, writes: usize, has_ended: bool) -> Delivery {
        if !self.may_come() || self.asks.is_blind.load(Ordering::Acquire) {
            return Delivery::Unknown;
        }
        // Acquire, so that the figure that is read next is at least as new.
        if self.after.load(Ordering::Acquire) != writes.wrapping_add(1) {
            return Delivery::Outstanding;
        }
        match self.unacknowledged.load(Ordering::Relaxed) {
            NOT_FOUND => Delivery::Unknown,
            bytes if bytes <= u64::from(has_ended) => Delivery::Acknowledged,
            _ => Delivery::Outstanding,
        }
    }

    /// Returns `true` if something was outstanding for a second.
    pub(super) fn was_slow(&self) -> bool {
        self.was_slow.load(Ordering::Relaxed)
    }

    /// Takes what was read `at` this many milliseconds, after that many writes.
    fn take(&self, queues: &SendQueues, writes: usize, at: u64) {
        let unacknowledged = self.peer.and_then(|peer| queues.of(peer));
        let unacknowledged = unacknowledged.unwrap_or(NOT_FOUND);
        let is_outstanding = unacknowledged > 1 && unacknowledged != NOT_FOUND;
        let since = self.outstanding_since.load(Ordering::Relaxed);
        let since = match (is_outstanding, since) {
            (false, _) => NEVER,
            (true, NEVER) => at,
            (true, since) => since,
        };
        self.outstanding_since.store(since, Ordering::Relaxed);
        if is_outstanding && at - since >= SLOW {
            self.was_slow.store(true, Ordering::Relaxed);
        }
        self.unacknowledged.store(unacknowledged, Ordering::Relaxed);
        // Release, for the figure above.
        self.after.store(writes.wrapping_add(1), Ordering::Release);
    }
}

/// Reads the send queues when a connection asks.
pub(super) struct Reader {
    began: Instant,
    asks: Arc<Asks>,
    state: State,
}

enum State {
    Idle,
    Reading {
        /// Each connection that asked, and how many writes there had been.
        connections: Vec<(Arc<Tally>, usize)>,
        queues: Pin<Box<dyn Future<Output = SendQueues> + Send>>,
    },
    Pausing(Pin<Box<Sleep>>),
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            asks: Arc::default(),
            state: State::Idle,
        }
    }

    pub(super) fn asks(&self) -> &Arc<Asks> {
        &self.asks
    }

    /// Ready after each reading, which the connections that asked have then got.
    pub(super) fn poll<'a, I>(&mut self, cx: &mut Context<'_>, tallies: impl Fn() -> I) -> Poll<()>
    where
        I: Iterator<Item = &'a Arc<Tally>>,
    {
        self.asks.reader.register(cx.waker());
        loop {
            self.state = match &mut self.state {
                State::Idle => match self.asks.is_asked.swap(false, Ordering::AcqRel) {
                    false => return Poll::Pending,
                    true => State::Reading {
                        connections: tallies()
                            .filter(|tally| tally.readings.stops_waiting())
                            .map(|tally| (tally.clone(), tally.notes.write_count()))
                            .collect(),
                        queues: Box::pin(SendQueues::read()),
                    },
                },
                State::Reading {
                    connections,
                    queues,
                } => {
                    let queues = ready!(queues.as_mut().poll(cx));
                    self.asks
                        .is_blind
                        .store(queues.is_empty(), Ordering::Release);
                    for (tally, writes) in connections {
                        let at = self.began.elapsed().as_millis() as u64;
                        tally.readings.take(&queues, *writes, at);
                        tally.wake();
                    }
                    let pause = PAUSE.max(queues.took.saturating_mul(SHARE));
                    self.state = State::Pausing(Box::pin(sleep(pause)));
                    return Poll::Ready(());
                }
                State::Pausing(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    State::Idle
                }
            };
        }
    }
}
