use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep_until, Instant, Sleep};

use super::ticks::NEVER;

/// How often the clock is looked at while a timeout lasts.
const LOOKS: u32 = 8;
/// How late a look may come on a busy machine, however short the timeout is.
const LATE: Duration = Duration::from_millis(20);
/// How often one probe gets its timeout anew.
const RENEWALS: u32 = 3;

/// A timeout that tells the silence of a peer from the absence of this process.
///
/// The clock is looked at in steps. A look that comes later than a step says that nothing ran here meanwhile, and that no
/// answer could be taken: then the timeout begins anew.
#[derive(Debug)]
pub(super) struct Patience {
    timeout: Duration,
    step: Duration,
    until: Instant,
    look: Pin<Box<Sleep>>,
    looked: Now,
    renewals: u32,
}

/// Both clocks, because tokio's may be paused and then jump, which does not mean that the process stood still.
#[derive(Clone, Copy, Debug)]
struct Now {
    tokio: Instant,
    real: std::time::Instant,
}

impl Now {
    fn get() -> Self {
        Self {
            tokio: Instant::now(),
            real: std::time::Instant::now(),
        }
    }

    fn since(self, earlier: Self) -> Duration {
        let real = self.real.saturating_duration_since(earlier.real);
        real.min(self.tokio.saturating_duration_since(earlier.tokio))
    }
}

impl Patience {
    /// Begins here and now.
    pub(super) fn new(timeout: Duration) -> Self {
        let timeout = timeout.min(NEVER);
        let looked = Now::get();
        let step = timeout / LOOKS;
        Self {
            timeout,
            step,
            until: looked.tokio + timeout,
            look: Box::pin(sleep_until(looked.tokio + step)),
            looked,
            renewals: RENEWALS,
        }
    }

    /// Ready when the time is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            let now = Now::get();
            let due = (self.look.deadline()).saturating_duration_since(self.looked.tokio);
            let was_absent = now.since(self.looked) > due + self.step.max(LATE);
            if was_absent && self.renewals > 0 {
                self.renewals -= 1;
                self.until = now.tokio + self.timeout;
            } else if now.tokio >= self.until {
                return Poll::Ready(());
            }
            self.looked = now;
            let next = self.until.min(now.tokio + self.step);
            self.look.as_mut().reset(next);
        }
    }
}
