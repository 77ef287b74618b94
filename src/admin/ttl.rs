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
    /// The drain owns its timer, which ends with it: a task where this is called in a tokio runtime, or else a thread.
    /// Every call on a handle also lifts a drain whose time is over, should the timer be late.
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
fn timer(tracker: Weak<Tracker>, at: Instant) -> Timer {
    let lift = move || {
        if let Some(tracker) = tracker.upgrade() {
            tracker.lift_if_due();
        }
    };
    match runtime::Handle::try_current() {
        Ok(runtime) => {
            let sleep = sleep_until(at);
            let task = runtime.spawn(async move {
                sleep.await;
                lift();
            });
            Timer::Task(task.abort_handle())
        }
        Err(_) => Timer::Thread(lift_on_a_thread(at, lift)),
    }
}

fn lift_on_a_thread(at: Instant, lift: impl FnOnce() + Send + 'static) -> Sender<()> {
    let (dropped, is_dropped) = channel();
    let wait = move || {
        let left = at.saturating_duration_since(Instant::now());
        if is_dropped.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            lift();
        }
    };
    let thread = thread::Builder::new().name("tower-drain-ttl".into());
    thread.spawn(wait).expect("a thread for the time to live");
    dropped
}

enum Timer {
    Task(AbortHandle),
    /// Dropping it ends the thread.
    Thread(#[allow(dead_code)] Sender<()>),
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}
