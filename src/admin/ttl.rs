use std::sync::mpsc::{channel, RecvTimeoutError, Sender};
use std::sync::Weak;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, Instant};

use crate::tracker::{Lifts, Tracker};
use crate::{DrainHandle, DrainNonce, DrainReason, Phase};

/// How long a drain lasts that was asked for over HTTP without a time to live: 15 minutes.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15 * 60);

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(1);

impl DrainHandle {
    /// To [`Phase::LameDuck`] for at most `ttl`: unless it is
    /// [resumed](DrainHandle::resume) before, the drain lifts itself then, from whatever phase it has reached.
    /// `Duration::MAX` is no limit.
    ///
    /// Returns the drain's nonce if this call changed the phase. `None` if a drain is on, or the handle is
    /// [sealed](DrainHandle::seal): what is sealed does not lift itself.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_drain::{DrainHandle, Phase};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let handle = DrainHandle::new();
    /// handle.begin_lame_duck_for(Duration::from_secs(60), "a deploy".into());
    /// tokio::time::sleep(Duration::from_secs(59)).await;
    /// assert_eq!(handle.phase(), Phase::LameDuck);
    /// tokio::time::sleep(Duration::from_secs(1)).await;
    /// assert_eq!(handle.phase(), Phase::Serving);
    /// # }
    /// ```
    ///
    /// The drain owns its timer, which ends with it. The timer is a thread, so that the drain is lifted and its waiters are
    /// woken even if the runtime of this call is dropped. Inside a runtime it follows the clock of that runtime, which a
    /// test may pause, and also has a task there.
    ///
    /// A late timer does not prolong the drain. Every call on a handle that reads or changes the state of the drain lifts
    /// it if its time is over. So does a request that would be rejected, and a future of the handle when it is polled.
    /// A [`seal`](DrainHandle::seal) after that time makes the next drain final, not this one.
    ///
    /// # Panics
    ///
    /// In a tokio runtime without time, before anything has changed; or if no thread can be had.
    pub fn begin_lame_duck_for(&self, ttl: Duration, reason: DrainReason) -> Option<DrainNonce> {
        if self.phase() > Phase::Serving {
            return None;
        }
        self.tracker()
            .leave_until(DrainNonce::random(), reason, self.lifts_after(ttl))
    }

    pub(super) fn lifts_after(&self, ttl: Duration) -> Option<Lifts> {
        let at = deadline(ttl)?;
        Some(Lifts::new(at, timer(self.downgrade(), at)))
    }
}

fn deadline(ttl: Duration) -> Option<Instant> {
    match ttl {
        Duration::MAX => None,
        ttl => Instant::now().checked_add(ttl),
    }
}

/// Lifts the drain of `tracker` at `at`, unless it is dropped before.
///
/// A thread does it, because no executor is sure to live as long as the handle: the runtime in which the drain began may
/// be dropped or no longer driven, and any executor may poll a future that waits. Inside a runtime the thread reads the
/// clock of that runtime, so that a test's paused clock stands still for it too. The task beside it is what a paused
/// clock advances to.
fn timer(tracker: Weak<Tracker>, at: Instant) -> Timer {
    let runtime = runtime::Handle::try_current().ok();
    let sleep = runtime.as_ref().map(|_| sleep_until(at));
    let thread = lift_on_a_thread(runtime.clone(), tracker.clone(), at);
    let task = runtime.zip(sleep).map(|(runtime, sleep)| {
        let task = runtime.spawn(async move {
            sleep.await;
            lift(&tracker);
        });
        task.abort_handle()
    });
    Timer {
        task,
        _thread: thread,
    }
}

fn lift(tracker: &Weak<Tracker>) {
    if let Some(tracker) = tracker.upgrade() {
        tracker.lift_if_due();
    }
}

/// Dropping what is returned ends the thread.
fn lift_on_a_thread(
    clock: Option<runtime::Handle>,
    tracker: Weak<Tracker>,
    at: Instant,
) -> Sender<()> {
    let (dropped, is_dropped) = channel();
    let wait = move || {
        let _clock = clock.as_ref().map(runtime::Handle::enter);
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return lift(&tracker);
            }
            // More than once only if the clock stands still.
            if is_dropped.recv_timeout(left.max(TICK)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("tower-drain-ttl".into());
    thread.spawn(wait).expect("a thread for the time to live");
    dropped
}

struct Timer {
    task: Option<AbortHandle>,
    _thread: Sender<()>,
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
