//! Whether what was written has reached the peer.
//!
//! A connection that wants to know asks; the loop of the server reads the send queues once for all that ask, and wakes
//! them. While the server serves, only a connection asks that it has closed itself, and whose peer may not have all of
//! a large response.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::{sleep, Instant, Sleep};

use super::send_queues::{SendQueues, Tables};
use super::tally::Tally;

/// The pause behind the first reading. While a peer goes on owing an acknowledgement, the pauses grow.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_WHEN_SLOW: Duration = Duration::from_millis(250);
/// How much longer than a reading the pause behind it is, where there are so many sockets that it counts.
const SHARE: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What is known of the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The peer's system has acknowledged them.
    Acknowledged,
    /// It has not, or nothing was read yet.
    Outstanding,
    /// The system does not say.
    Unknown,
}

/// What carries the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// TCP, with the peer's address.
    Tcp(SocketAddr),
    /// A Unix socket: what was written is in the peer's own queue, and stays there.
    Local,
    Other,
}

impl Carrier {
    /// Guesses by the address that the listener gives.
    pub(super) fn of(address: &dyn Any) -> Self {
        if let Some(tcp) = address.downcast_ref() {
            return Self::Tcp(*tcp);
        }
        #[cfg(unix)]
        if address.is::<std::os::unix::net::SocketAddr>() {
            return Self::Local;
        }
        Self::Other
    }
}

/// The pending request for a reading, shared by all connections of a server.
#[derive(Debug, Default)]
pub(super) struct Asks {
    is_asked: AtomicBool,
    reader: AtomicWaker,
}

impl Asks {
    fn ask(&self) {
        if !self.is_asked.swap(true, Ordering::AcqRel) {
            self.reader.wake();
        }
    }
}

const NOT_READ: u8 = 0;
const FOUND: u8 = 1;
/// The connection was not in the table, or there is none.
const NOT_FOUND: u8 = 2;

/// What the readings have said of one connection.
#[derive(Debug)]
pub(super) struct Readings {
    carrier: Carrier,
    asks: Arc<Asks>,
    is_wanted: AtomicBool,
    last: AtomicU8,
    /// At least so many of the bytes that were written have been acknowledged. It only grows, so it need not be fresh.
    acknowledged: AtomicUsize,
    /// When the run of readings with something outstanding began and when the last of them was, in milliseconds.
    outstanding_since: AtomicU64,
    outstanding_at: AtomicU64,
    was_slow: AtomicBool,
}

/// A peer counts as slow once data has been outstanding for this many milliseconds. An acknowledgement may be 500 ms late
/// (RFC 9293, section 3.8.6.3).
const SLOW: u64 = 1000;
const NEVER: u64 = u64::MAX;

impl Readings {
    pub(super) fn new(carrier: Carrier, asks: Arc<Asks>) -> Self {
        Self {
            carrier,
            asks,
            is_wanted: AtomicBool::new(false),
            last: AtomicU8::new(NOT_READ),
            acknowledged: AtomicUsize::new(0),
            outstanding_since: AtomicU64::new(NEVER),
            outstanding_at: AtomicU64::new(0),
            was_slow: AtomicBool::new(false),
        }
    }

    /// Returns whether a reading is possible at all.
    pub(super) fn are_possible(&self) -> bool {
        cfg!(target_os = "linux") && matches!(self.carrier, Carrier::Tcp(_))
    }

    /// Asks for a reading. The task of the connection is woken when it has come.
    pub(super) fn ask(&self) {
        self.is_wanted.store(true, Ordering::Release);
        self.asks.ask();
    }

    fn is_wanted(&self) -> bool {
        self.is_wanted.swap(false, Ordering::AcqRel)
    }

    /// Returns what is known of the first `written` bytes.
    pub(super) fn delivery(&self, written: usize) -> Delivery {
        // Relaxed throughout: each figure is true by itself whenever it is read.
        let is_local = self.carrier == Carrier::Local;
        if is_local || self.acknowledged.load(Ordering::Relaxed) >= written {
            return Delivery::Acknowledged;
        }
        match self.last.load(Ordering::Relaxed) {
            _ if !self.are_possible() => Delivery::Unknown,
            NOT_FOUND => Delivery::Unknown,
            _ => Delivery::Outstanding,
        }
    }

    /// Returns `true` if something was outstanding for a second.
    pub(super) fn was_slow(&self) -> bool {
        self.was_slow.load(Ordering::Relaxed)
    }

    /// What was outstanding before has been read by now.
    pub(super) fn is_read(&self) {
        self.was_slow.store(false, Ordering::Relaxed);
        self.outstanding_since.store(NEVER, Ordering::Relaxed);
    }

    /// Takes a reading of `at` this many milliseconds. Before it, `written` bytes were written, and the end of the stream
    /// if it `has_ended`, which counts as one.
    fn take(&self, queues: &SendQueues, (written, has_ended): (usize, bool), at: u64) {
        let queue = match self.carrier {
            Carrier::Tcp(peer) => queues.of(peer),
            Carrier::Local | Carrier::Other => None,
        };
        let Some(queue) = queue else {
            self.last.store(NOT_FOUND, Ordering::Relaxed);
            return;
        };
        let outstanding = usize::try_from(queue).unwrap_or(usize::MAX);
        let outstanding = outstanding.saturating_sub(usize::from(has_ended));
        let acknowledged = written.saturating_sub(outstanding);
        self.acknowledged.fetch_max(acknowledged, Ordering::Relaxed);
        self.last.store(FOUND, Ordering::Relaxed);
        let last = self.outstanding_at.swap(at, Ordering::Relaxed);
        let since = match self.outstanding_since.load(Ordering::Relaxed) {
            // Between two readings that are far apart, anything may have happened.
            since if since != NEVER && at.saturating_sub(last) < SLOW => since,
            _ => at,
        };
        let since = if outstanding > 0 { since } else { NEVER };
        self.outstanding_since.store(since, Ordering::Relaxed);
        if since != NEVER && at.saturating_sub(since) >= SLOW {
            self.was_slow.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads the send queues when a connection asks.
pub(super) struct Reader {
    tables: Tables,
    began: Instant,
    asks: Arc<Asks>,
    state: State,
    /// How long the next pause is, at least.
    pause: Duration,
}

enum State {
    Idle,
    Reading(Reading),
    Pausing(Pin<Box<Sleep>>),
}

/// A reading under way.
pub(super) struct Reading {
    began: Instant,
    /// Each connection that is told, and what it had written and whether its stream had ended.
    connections: Vec<(Arc<Tally>, (usize, bool))>,
    queues: Pin<Box<dyn Future<Output = SendQueues> + Send>>,
}

impl Reading {
    fn new(tables: &Tables, began: Instant, tallies: impl Iterator<Item = Arc<Tally>>) -> Self {
        // Before the queues: what is written in between looks outstanding, and never acknowledged.
        let written = tallies.map(|tally| {
            let written = tally.notes.written();
            (tally, written)
        });
        let connections: Vec<_> = written.collect();
        Self {
            began,
            queues: match connections.is_empty() {
                true => Box::pin(std::future::ready(SendQueues::default())),
                false => Box::pin(tables.read()),
            },
            connections,
        }
    }

    /// Ready when the connections have been told. Returns how long it took.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let queues = ready!(self.queues.as_mut().poll(cx));
        let at = self.began.elapsed().as_millis() as u64;
        for (tally, written) in &self.connections {
            tally.readings.take(&queues, *written, at);
            tally.wake();
        }
        Poll::Ready(queues.took)
    }
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            tables: Tables::open(),
            began: Instant::now(),
            asks: Arc::default(),
            state: State::Idle,
            pause: PAUSE,
        }
    }

    pub(super) fn asks(&self) -> &Arc<Asks> {
        &self.asks
    }

    /// Begins a reading for all of them, beside those that are asked for.
    pub(super) fn read<'a>(&self, tallies: impl Iterator<Item = &'a Arc<Tally>>) -> Reading {
        let possible = tallies.filter(|tally| tally.readings.are_possible());
        Reading::new(&self.tables, self.began, possible.cloned())
    }

    /// Reads for those that ask; pending while there are none, and never ready.
    pub(super) fn poll<'a, I>(&mut self, cx: &mut Context<'_>, tallies: impl Fn() -> I)
    where
        I: Iterator<Item = &'a Arc<Tally>>,
    {
        self.asks.reader.register(cx.waker());
        loop {
            self.state = match &mut self.state {
                State::Idle => {
                    if !self.asks.is_asked.swap(false, Ordering::AcqRel) {
                        self.pause = PAUSE;
                        return;
                    }
                    let asking = tallies().filter(|tally| tally.readings.is_wanted());
                    State::Reading(Reading::new(&self.tables, self.began, asking.cloned()))
                }
                State::Reading(reading) => {
                    let Poll::Ready(took) = reading.poll(cx) else {
                        return;
                    };
                    let pause = took.saturating_mul(SHARE).max(self.pause);
                    let pause = pause.min(LONGEST_PAUSE);
                    self.pause = (self.pause * 3 / 2).min(PAUSE_WHEN_SLOW);
                    State::Pausing(Box::pin(sleep(pause)))
                }
                State::Pausing(pause) => {
                    if pause.as_mut().poll(cx).is_pending() {
                        return;
                    }
                    State::Idle
                }
            };
        }
    }
}
