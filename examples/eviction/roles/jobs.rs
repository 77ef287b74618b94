//! The jobs that a worker has in hand: begun, nudged, frozen, saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot::{self, Receiver};
use tokio::time::timeout;
use tower_drain::{BoxError, DrainHandle, ShuttingDown};

use super::job::{store, work, Came};
use super::kept;
use super::say::Say;
use super::seconds;
use super::told::Told;
use super::wire::{How, Job};

#[derive(Clone)]
pub(crate) struct Jobs(Arc<Inner>);

struct Inner {
    handle: DrainHandle,
    directory: PathBuf,
    freeze: Duration,
    save: Duration,
    told: Told,
    say: Say,
    /// Each comes with the state of one that froze.
    on: Mutex<BTreeMap<u32, Receiver<Job>>>,
}

impl Jobs {
    pub(crate) fn new(
        handle: DrainHandle,
        directory: PathBuf,
        told: Told,
        say: Say,
    ) -> Result<Self, BoxError> {
        fs::create_dir_all(&directory)?;
        Ok(Self(Arc::new(Inner {
            handle,
            directory,
            freeze: seconds("FREEZE_SECONDS", 1.0)?,
            save: seconds("SAVE_SECONDS", 2.0)?,
            told,
            say,
            on: Mutex::default(),
        })))
    }

    /// How long [`freeze_and_save`](Self::freeze_and_save) takes at most.
    pub(crate) fn longest(&self) -> Duration {
        self.0.freeze + self.0.save + Duration::from_secs(1)
    }

    fn on(&self) -> MutexGuard<'_, BTreeMap<u32, Receiver<Job>>> {
        self.0.on.lock().expect("nobody panics with it")
    }

    fn file(&self, number: u32) -> PathBuf {
        self.0.directory.join(format!("job-{number}.json"))
    }

    /// Goes on with what the one before had to leave.
    pub(crate) fn take_up_saved(&self) -> Result<(), BoxError> {
        for job in kept::saved(&self.0.directory)? {
            let Job {
                number,
                done,
                steps,
                ..
            } = job;
            self.0.say.line(format_args!(
                "goes on with job {number}, after step {done} of {steps}"
            ));
            self.begin(job)?;
        }
        Ok(())
    }

    /// The drain waits for it, and lists it by its label.
    pub(crate) fn begin(&self, job: Job) -> Result<(), ShuttingDown> {
        let number = job.number;
        let guard = self.0.handle.try_guard_as(format!("job {number}"))?;
        let (state, frozen) = oneshot::channel();
        self.on().insert(number, frozen);
        let jobs = self.clone();
        tokio::spawn(async move {
            match work(job, &guard, state).await {
                Came::Complete(job) => jobs.ended(&job).await,
                Came::Nudged(job) => {
                    let Job { done, steps, .. } = job;
                    jobs.0.say.line(format_args!(
                        "nudged: job {number} hands in {done} of {steps} steps"
                    ));
                    jobs.ended(&job).await;
                }
                Came::Frozen => {}
            }
            drop(guard);
        });
        Ok(())
    }

    async fn ended(&self, job: &Job) {
        self.on().remove(&job.number);
        // Only one that was taken up has a file.
        fs::remove_file(self.file(job.number)).unwrap_or_default();
        self.0.told.ended(job.number, How::Done).await;
    }

    /// All at once: none waits for another that does not freeze, or whose work cannot be saved.
    pub(crate) async fn freeze_and_save(self) -> Result<(), BoxError> {
        let on = std::mem::take(&mut *self.on());
        let saving = on.into_iter().map(|(number, frozen)| {
            let jobs = self.clone();
            async move { jobs.save(number, frozen).await }
        });
        let saved = join_all(saving).await;
        let lost = saved.iter().filter(|is_saved| !**is_saved).count();
        match lost {
            0 => Ok(()),
            lost => Err(format!("the work of {lost} is lost").into()),
        }
    }

    async fn save(&self, number: u32, frozen: Receiver<Job>) -> bool {
        let Inner { say, .. } = &*self.0;
        let job = match timeout(self.0.freeze, frozen).await {
            Ok(Ok(job)) => job,
            // It came to its end meanwhile.
            Ok(Err(_)) => return true,
            Err(_) => {
                say.line(format_args!("job {number} could not be frozen: not saved"));
                return false;
            }
        };
        let at = format!(
            "frozen: job {number}, after step {} of {}",
            job.done, job.steps
        );
        let file = self.file(number);
        match timeout(self.0.save, store(&file, &job)).await {
            Ok(Ok(())) => {
                say.line(format_args!("{at}: saved"));
                self.0.told.ended(number, How::Saved).await;
                true
            }
            Ok(Err(error)) => {
                say.line(format_args!("{at}: not saved, {error}"));
                false
            }
            Err(_) => {
                let limit = self.0.save;
                say.line(format_args!("{at}: not saved, no answer within {limit:?}"));
                false
            }
        }
    }
}
