use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::caught::Caught;
use super::ticks::Ticks;
use crate::{lines, words, BoxError, Changed, DrainHandle, DrainStatus, Phase};

/// Says on a period that this process lives, until a phase is reached.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// use std::time::Duration;
/// use tower_drain::{DrainHandle, Heartbeat, Phase};
///
/// let handle = DrainHandle::new();
/// let heartbeat = Heartbeat::every(Duration::from_secs(10), |status| async move {
///     println!("alive, with {} in flight", status.in_flight); // or a POST to an orchestrator
/// });
/// let beating = tokio::spawn(heartbeat.until(Phase::LameDuck).run(&handle));
/// handle.begin_lame_duck();
/// beating.await?;
/// # Ok(())
/// # }
/// ```
///
/// It is a future of its own beside the work, so that it goes on while the work waits: `tokio::spawn` what
/// [`run`](Self::run) returns, or join it. The first beat starts when it is polled first, the next ones at every
/// period from then on, start to start. A slow beat delays only the next: beats never overlap, one that takes longer
/// than the period is followed at once by the next, and those that were missed are not made up for.
///
/// A beat that fails or panics, also in its drop or in its error's `Display`, does not stop it: the next one comes at its
/// time. The first of several in a row is logged
/// at `warn` with the target `tower_drain::agent`. A beat that never ends is the last: put a timeout around what may hang.
#[derive(Clone)]
#[must_use = "a heartbeat does nothing until it runs"]
pub struct Heartbeat<F> {
    every: Duration,
    beat: F,
    until: Phase,
}

impl<F, T> Heartbeat<F>
where
    F: FnMut(DrainStatus) -> T,
    T: Future,
    T::Output: BeatOutcome,
{
    /// Calls `beat` at every period with the status of that moment. Its future returns nothing, or a
    /// `Result<(), BoxError>`.
    ///
    /// # Panics
    ///
    /// If `every` is zero.
    #[track_caller]
    pub fn every(every: Duration, beat: F) -> Self {
        assert!(!every.is_zero(), "a heartbeat's period must be above 0 s");
        Self {
            every,
            beat,
            until: Phase::Drained,
        }
    }

    /// Ends when this phase is reached, or a later one. The default is [`Phase::Drained`]: it beats through the drain.
    pub fn until(self, phase: Phase) -> Self {
        Self {
            until: phase,
            ..self
        }
    }

    /// Beats for `handle`. The future is `Send + 'static` where the closure and its futures are.
    pub fn run(self, handle: &DrainHandle) -> Beating<F, T> {
        Beating {
            handle: handle.clone(),
            changed: handle.changed(),
            until: self.until,
            ticks: Ticks::new(self.every),
            beat: self.beat,
            has_failed: false,
            beating: None,
        }
    }
}

impl<F> fmt::Debug for Heartbeat<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("every", &self.every)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Heartbeat::run`]. Resolves once the phase is reached, and drops the beat that is on.
    ///
    /// A phase that came and was taken back by a resume between two polls did not end it. After the end, a resume does
    /// not start it again.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the beat that is on. One that is made anew beats at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct Beating<F, T> {
        handle: DrainHandle,
        changed: Changed,
        until: Phase,
        ticks: Ticks,
        beat: F,
        has_failed: bool,
        #[pin]
        beating: Option<Caught<T>>,
    }
}

impl<F, T> Beating<F, T>
where
    F: FnMut(DrainStatus) -> T,
    T: Future,
    T::Output: BeatOutcome,
{
    fn poll_phase(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        loop {
            if this.handle.phase() >= *this.until {
                return Poll::Ready(());
            }
            ready!(Pin::new(&mut *this.changed).poll(cx));
            *this.changed = this.handle.changed();
        }
    }

    fn poll_beat(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut this = self.project();
        loop {
            if let Some(beating) = this.beating.as_mut().as_pin_mut() {
                let ended = ready!(beating.poll(cx));
                let ended = ended.and_then(|output| output.into_result().map_err(words::of_last));
                return Poll::Ready(ended.and(Caught::clear(this.beating)));
            }
            ready!(this.ticks.poll(cx));
            let status = this.handle.status();
            match Caught::new(|| (this.beat)(status)) {
                Ok(beating) => this.beating.set(Some(beating)),
                Err(panic) => return Poll::Ready(Err(panic)),
            }
        }
    }
}

impl<F, T> Future for Beating<F, T>
where
    F: FnMut(DrainStatus) -> T,
    T: Future,
    T::Output: BeatOutcome,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.as_mut().poll_phase(cx).is_ready() {
                // It ends whatever the drop of the last beat does.
                drop(Caught::clear(self.project().beating));
                return Poll::Ready(());
            }
            let ended = ready!(self.as_mut().poll_beat(cx));
            let failed = ended.is_err();
            let had_failed = std::mem::replace(self.as_mut().project().has_failed, failed);
            match ended {
                Err(error) if !had_failed => {
                    lines::write(
                        || tracing::warn!(target: "tower_drain::agent", error, "heartbeat: a beat failed"),
                    );
                }
                Ok(()) if had_failed => {
                    lines::write(
                        || tracing::info!(target: "tower_drain::agent", "heartbeat: beats succeed again"),
                    );
                }
                _ => {}
            }
        }
    }
}

impl<F, T> fmt::Debug for Beating<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beating")
            .field("every", &self.ticks.every())
            .field("until", &self.until)
            .field("is_beating", &self.beating.is_some())
            .finish_non_exhaustive()
    }
}

/// What the future of a [`Heartbeat`]'s beat may return: nothing, or a `Result<(), BoxError>`.
pub trait BeatOutcome: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), BoxError>;
}

impl BeatOutcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl BeatOutcome for Result<(), BoxError> {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for Result<(), crate::BoxError> {}
}
