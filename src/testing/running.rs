use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::clock::within;
use crate::{BoxError, DrainHandle, ShutdownReport};

/// A [`Shutdown`](crate::Shutdown) that runs, from [`DrainTest::begin`](super::DrainTest::begin) or
/// [`run`](super::DrainTest::run). It runs on if this is dropped.
#[must_use = "its report says what the shutdown came to"]
pub struct Running {
    handle: DrainHandle,
    limit: Duration,
    task: JoinHandle<Result<ShutdownReport, BoxError>>,
}

impl Running {
    pub(super) fn new(
        handle: DrainHandle,
        limit: Duration,
        task: JoinHandle<Result<ShutdownReport, BoxError>>,
    ) -> Self {
        Self {
            handle,
            limit,
            task,
        }
    }

    /// Waits until the sequence is over, hooks and all, and returns its report.
    ///
    /// # Panics
    ///
    /// If it is not over within the [limit](super::DrainTest::limit), which a shutdown is not that nothing has begun;
    /// if its [configuration](crate::Shutdown::check) is wrong; and with the panic of a trigger.
    ///
    /// # Cancel safety
    ///
    /// The report is lost with the future.
    #[track_caller]
    pub fn report(self) -> impl Future<Output = ShutdownReport> {
        let caller = Location::caller();
        async move {
            match within(self.limit, self.task).await {
                Some(Ok(Ok(report))) => report,
                Some(Ok(Err(error))) => panic!("{caller}: the shutdown does not run: {error}"),
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => {
                    let (phase, limit) = (self.handle.phase(), self.limit.as_secs_f64());
                    let stragglers = self.handle.stragglers();
                    panic!(
                        "{caller}: the shutdown is not over after {limit} s more, in phase {phase:?} with {} in \
                         flight {stragglers:?}; expected its report",
                        self.handle.in_flight(),
                    )
                }
            }
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("handle", &self.handle)
            .field("is_over", &self.task.is_finished())
            .finish_non_exhaustive()
    }
}
