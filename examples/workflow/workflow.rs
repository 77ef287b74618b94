//! Three steps, one after the other, for as long as the backend can be reached.

use std::error::Error;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tower_drain::{DrainHandle, DrainReason, Phase};

use crate::backend::{Answer, Backend, Client};
use crate::say::Say;
use crate::teardown::Leases;

const STEPS: [&str; 3] = ["reserve", "compute", "publish"];
const RETRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) enum WorkflowError {
    /// The backend could not be reached for too long. Nothing says that the workflow is wrong: run it again.
    Connectivity { failures: u32, last_error: String },
    /// The backend answered, and the answer was no.
    Failed { step: &'static str, answer: String },
    /// Something else ended the process.
    Stopped(DrainReason),
}

impl fmt::Display for WorkflowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connectivity {
                failures,
                last_error,
            } => write!(f, "connectivity, {failures} failures: {last_error}"),
            Self::Failed { step, answer } => write!(f, "failure of `{step}`: {answer}"),
            Self::Stopped(reason) => write!(f, "stopped: {reason}"),
        }
    }
}

impl Error for WorkflowError {}

impl From<DrainReason> for WorkflowError {
    fn from(reason: DrainReason) -> Self {
        match reason {
            DrainReason::ConnectivityLost {
                failures,
                last_error,
            } => Self::Connectivity {
                failures,
                last_error,
            },
            other => Self::Stopped(other),
        }
    }
}

pub(crate) struct Workflow {
    handle: DrainHandle,
    client: Client,
    leases: Arc<Leases>,
    say: Say,
}

impl Workflow {
    pub(crate) fn new(handle: DrainHandle, client: Client, leases: Arc<Leases>, say: Say) -> Self {
        Self {
            handle,
            client,
            leases,
            say,
        }
    }

    /// Tells the backend which step is done, for its troubles come in between.
    pub(crate) async fn run(self, mut backend: Backend) -> Result<(), WorkflowError> {
        // The drain waits for the step in hand.
        let _guard = self.handle.try_guard_as("workflow");
        for step in STEPS {
            if self.handle.phase() != Phase::Serving {
                let reason = self.handle.reason();
                return Err(reason.unwrap_or(DrainReason::Requested).into());
            }
            tokio::select! {
                done = self.step(step) => done?,
                reason = self.cut_off() => return Err(reason.into()),
            }
            backend.step_is_done();
        }
        self.leases.complete();
        Ok(())
    }

    /// Resolves only if the backend is lost: for every other reason, the step in hand is finished.
    async fn cut_off(&self) -> DrainReason {
        self.handle.leaving().await;
        match self.handle.reason() {
            Some(lost @ DrainReason::ConnectivityLost { .. }) => lost,
            _ => pending().await,
        }
    }

    /// Waits for as long as it takes. No answer is no failure, and whether it will come the watchdog decides.
    async fn step(&self, step: &'static str) -> Result<(), WorkflowError> {
        self.leases.take();
        loop {
            match self.client.step(step).await {
                Answer::Done => {
                    self.say.line("workflow", format_args!("{step} is done"));
                    return Ok(());
                }
                Answer::No(answer) => return Err(WorkflowError::Failed { step, answer }),
                Answer::None => tokio::time::sleep(RETRY).await,
            }
        }
    }
}
