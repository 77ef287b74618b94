use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::tracker::{Called, Held, Waiter, Wakes};
use crate::Draining;

/// Holds the drain for work that is not a request: an upgraded connection, a spawned task, a job.
///
/// The drain waits until it is dropped, clones too. A [cut](crate::DrainHandle::cut) does not end it but tells
/// [`cut`](Self::cut).
#[derive(Clone)]
#[must_use = "the drain does not wait for a guard that is dropped"]
pub struct DrainGuard {
    held: Held,
}

impl DrainGuard {
    pub(crate) fn new(held: Held) -> Self {
        Self { held }
    }

    /// Resolves when a cut comes, or at once if one came since this guard, or the one it is a clone of, was taken.
    ///
    /// Cancel safe: it may be dropped and made again.
    pub fn cut(&self) -> GuardCut {
        GuardCut {
            waiter: self.held.waiter(),
            batch: self.held.number(),
        }
    }

    /// Resolves once rejecting began; at once if it has. It is the moment to say goodbye and to end.
    ///
    /// Cancel safe: it may be dropped and made again.
    pub fn draining(&self) -> Draining {
        Draining::new(self.held.waiter())
    }

    /// Whether [`cut`](Self::cut) would resolve at once.
    pub fn is_cut(&self) -> bool {
        self.held.is_cut()
    }
}

impl fmt::Debug for DrainGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DrainGuard");
        match self.held.called() {
            Called::Nothing => {}
            Called::Request(name) => drop(debug.field("request", &name)),
            Called::Label(label) => drop(debug.field("label", &label)),
        }
        debug.field("is_cut", &self.is_cut()).finish()
    }
}

/// The future of [`DrainGuard::cut`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct GuardCut {
    waiter: Waiter,
    batch: u64,
}

impl Future for GuardCut {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.park(cx, Wakes::CUT);
        match self.waiter.shard().has_cut(self.batch) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
