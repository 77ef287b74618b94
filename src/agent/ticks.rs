use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{interval_at, Instant, Interval, MissedTickBehavior};

/// Further away than anybody waits, and yet a moment that a clock can tell.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// One tick at the first poll, and one at every period from then on. Of those that were missed, one comes late.
#[derive(Debug)]
pub(super) struct Ticks {
    every: Duration,
    interval: Option<Interval>,
}

impl Ticks {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            interval: None,
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(interval) = &mut self.interval {
            return interval.poll_tick(cx).map(drop);
        }
        let period = self.every.min(NEVER);
        let mut interval = interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.interval = Some(interval);
        Poll::Ready(())
    }
}
