//! The futures of the handle that wait for a phase.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::tracker::{DrainId, Outcome, Staged, Tracker, Waiter, Wakes};
use crate::{DrainError, DrainReport, Phase};

/// The future of [`DrainHandle::changed`](crate::DrainHandle::changed).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Changed {
    waiter: Waiter,
    seen: Staged,
    // Without the tracker nobody would say that the last guard is gone.
    tracker: Arc<Tracker>,
}

impl Changed {
    pub(crate) fn new(tracker: Arc<Tracker>) -> Self {
        let waiter = Waiter::new(tracker.door().shard().clone());
        let seen = waiter.shard().staged();
        Self {
            waiter,
            seen,
            tracker,
        }
    }
}

impl Future for Changed {
    type Output = Phase;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Phase> {
        self.waiter.park(cx, Wakes::CHANGE);
        self.tracker.lift_if_due();
        let now = self.waiter.shard().staged();
        match now == self.seen {
            true => Poll::Pending,
            false => Poll::Ready(now.phase),
        }
    }
}

/// The future of [`DrainHandle::leaving`](crate::DrainHandle::leaving).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Leaving {
    waiter: Waiter,
    seen: u32,
}

impl Leaving {
    pub(crate) fn new(tracker: &Tracker) -> Self {
        let waiter = Waiter::new(tracker.door().shard().clone());
        let staged = waiter.shard().staged();
        // Of the leave that is on, if one is, as if it came next.
        let seen = staged.leaves - u32::from(staged.phase > Phase::Serving);
        Self { waiter, seen }
    }
}

impl Future for Leaving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.park(cx, Wakes::LEAVE);
        self.waiter.shard().lift_if_due();
        match self.waiter.shard().staged().leaves == self.seen {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

/// The future of [`DrainHandle::draining`](crate::DrainHandle::draining).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Draining {
    waiter: Waiter,
    seen: u32,
}

impl Draining {
    pub(crate) fn new(waiter: Waiter) -> Self {
        let staged = waiter.shard().staged();
        let seen = staged.begins - u32::from(staged.phase > Phase::LameDuck);
        Self { waiter, seen }
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.park(cx, Wakes::BEGIN);
        self.waiter.shard().lift_if_due();
        match self.waiter.shard().staged().begins == self.seen {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

/// The future of [`DrainHandle::wait_for_drain`](crate::DrainHandle::wait_for_drain).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitForDrain {
    tracker: Arc<Tracker>,
    waiter: Waiter,
    drain: DrainId,
    called: Instant,
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl WaitForDrain {
    pub(crate) fn new(tracker: Arc<Tracker>, timeout: Duration) -> Self {
        Self {
            waiter: Waiter::new(tracker.door().shard().clone()),
            drain: tracker.current_or_next(),
            called: Instant::now(),
            timeout,
            sleep: None,
            tracker,
        }
    }

    /// Ready when the time is over, which began to run at `from`.
    fn poll_timeout(&mut self, from: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.timeout == Duration::MAX {
            return Poll::Pending;
        }
        let Some(deadline) = from.checked_add(self.timeout) else {
            return Poll::Pending;
        };
        self.sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)))
            .as_mut()
            .poll(cx)
    }
}

impl Future for WaitForDrain {
    type Output = Result<DrainReport, DrainError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.waiter.park(cx, Wakes::CHANGE);
        this.tracker.lift_if_due();
        let began = match this.tracker.outcome(this.drain, this.called) {
            Outcome::Waiting => return Poll::Pending,
            Outcome::Rejecting(began) => began,
            Outcome::Drained(report) => return Poll::Ready(Ok(report)),
            Outcome::Resumed => return Poll::Ready(Err(DrainError::Resumed)),
        };
        let from = began.max(this.called);
        ready!(this.poll_timeout(from, cx));
        match this.tracker.in_flight() {
            // The last one left meanwhile and is about to say so, which wakes this task.
            0 => Poll::Pending,
            in_flight => {
                let waited = from.elapsed();
                Poll::Ready(Err(DrainError::TimedOut { in_flight, waited }))
            }
        }
    }
}
