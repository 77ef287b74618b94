//! One job, step by step.

use std::future::pending;

use tokio::sync::oneshot;
use tower_drain::{BoxError, DrainGuard};

use super::wire::{Job, Manner};

pub(crate) enum Came {
    Complete(Job),
    /// Ended early, with what it has.
    Nudged(Job),
    /// Its state was handed over.
    Frozen,
}

/// Works for as long as it is not cut. A job that can be frozen hands over its state, in which no step is half done.
pub(crate) async fn work(mut job: Job, guard: &DrainGuard, state: oneshot::Sender<Job>) -> Came {
    let (can_freeze, heeds) = (job.manner != Manner::Sticks, job.manner == Manner::Heeds);
    while job.done < job.steps {
        tokio::select! {
            () = guard.cut(), if can_freeze => {
                // Nobody may wait for it any longer.
                drop(state.send(job));
                return Came::Frozen;
            }
            () = guard.draining(), if heeds => return Came::Nudged(job),
            () = tokio::time::sleep(job.step()) => job.done += 1,
        }
    }
    Came::Complete(job)
}

/// What stands for the store of a real worker.
pub(crate) async fn store(file: &std::path::Path, job: &Job) -> Result<(), BoxError> {
    match job.manner {
        Manner::SaveFails => Err("the store refuses it".into()),
        Manner::SaveHangs => pending().await,
        _ => Ok(super::kept::write(file, job)?),
    }
}
