//! Work of the caller's at a stage of the sequence: named, bounded, and never in its way.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::report::{HookOutcome, HookStage};
use super::{log, Cut, ShutdownReport};
use crate::contained::{self, Contained};
use crate::race::{over, race, Either};
use crate::{words, BoxError, DrainStatus};

pub(super) type Running = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

pub(super) struct Hook<A> {
    pub(super) name: Cow<'static, str>,
    pub(super) bound: Duration,
    /// One that never runs is dropped by the sequence itself.
    run: Contained<Run<A>>,
}

type Run<A> = Box<dyn FnOnce(A) -> Running + Send>;

impl<A: Send + 'static> Hook<A> {
    pub(super) fn new<F, T>(name: Cow<'static, str>, bound: Duration, hook: F) -> Self
    where
        F: FnOnce(A) -> T + Send + 'static,
        T: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self {
            name,
            bound,
            run: Contained::new(Box::new(move |input| Box::pin(hook(input)))),
        }
    }

    /// Runs it in a task of its own, so that neither a panic nor a blocked thread is the sequence's, and lets go of it
    /// at its bound. What comes out of that task is words: to ask an error for them is to run the caller's code.
    pub(super) async fn run(self, stage: HookStage, input: A) -> (HookOutcome, Duration) {
        let began = Instant::now();
        let run = self.run;
        let mut task = Task::spawn(async move {
            let run = run.into_inner();
            run(input).await.map_err(words::of_last)
        });
        let outcome = match race(task.join(), over(self.bound)).await {
            Either::First(Ok(Ok(()))) => HookOutcome::Done,
            Either::First(Ok(Err(error))) => HookOutcome::Failed(error),
            Either::First(Err(message)) => HookOutcome::Panicked(message),
            Either::Second(()) => HookOutcome::TimedOut,
        };
        let took = began.elapsed();
        log::hook_ended(stage, &self.name, &outcome, took);
        (outcome, took)
    }

    /// Runs it beside the sequence.
    pub(super) fn spawn(self, stage: HookStage, input: A) -> Task<(HookOutcome, Duration)> {
        Task::spawn(self.run(stage, input))
    }
}

impl<A> fmt::Debug for Hook<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({:?})", self.name, self.bound)
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => contained::message(payload),
        Err(_) => "the runtime was shut down".into(),
    }
}

/// A task that does not outlive this handle by more than its current poll.
#[derive(Debug)]
pub(super) struct Task<T>(Contained<JoinHandle<T>>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Contained::new(tokio::spawn(future)))
    }

    /// Returns its output, or the message of its panic.
    pub(super) async fn join(&mut self) -> Result<T, String> {
        (&mut *self.0).await.map_err(panic_message)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All hooks of a [`Shutdown`](crate::Shutdown).
#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub(super) on_begin: Vec<Hook<DrainStatus>>,
    pub(super) on_cut: Vec<Hook<Cut>>,
    pub(super) on_drained: Vec<Hook<ShutdownReport>>,
}

impl Hooks {
    pub(super) fn bounds(&self) -> super::timeouts::HookBounds {
        super::timeouts::HookBounds {
            longest_on_begin: longest(&self.on_begin),
            longest_on_cut: longest(&self.on_cut),
            all_on_drained: (self.on_drained.iter())
                .fold(Duration::ZERO, |sum, hook| sum.saturating_add(hook.bound)),
        }
    }
}

fn longest<A>(hooks: &[Hook<A>]) -> Duration {
    let bounds = hooks.iter().map(|hook| hook.bound);
    bounds.max().unwrap_or(Duration::ZERO)
}
