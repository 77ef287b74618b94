//! Who works, on what, and whether they are well. A worker that drains is one whose handle does not serve.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::AbortHandle;
use tower_drain::{DrainGuard, DrainHandle, DrainNonce, Phase, ResumeError};

use super::client::{Client, LIMIT};
use super::say::Say;
use super::wire::{Beat, Ended, How, Instance, Job};

#[derive(Clone)]
pub(crate) struct Fleet(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) handoff_after: Duration,
    pub(super) ttl: Duration,
    pub(super) marks: PathBuf,
    pub(super) client: Client,
    pub(super) say: Say,
    pub(super) state: Mutex<Fleets>,
}

#[derive(Default)]
pub(super) struct Fleets {
    pub(super) workers: BTreeMap<String, Worker>,
    pub(super) queue: VecDeque<Job>,
}

pub(super) struct Worker {
    pub(super) instance: Instance,
    /// The mark, and all that belongs to it: nonce, reason, time to live.
    pub(super) handle: DrainHandle,
    /// The last instance that was evicted here. It never counts again.
    pub(super) evicted: Option<String>,
    pub(super) is_returned: bool,
    pub(super) is_well: bool,
    pub(super) health: AbortHandle,
    /// The guards are what `/drain-status` counts and lists.
    pub(super) jobs: BTreeMap<u32, (Job, DrainGuard)>,
}

#[derive(Debug)]
pub(crate) enum Refusal {
    Unknown,
    Stale(ResumeError),
    NotKept(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such worker works here"),
            Self::Stale(error) => error.fmt(f),
            Self::NotKept(error) => write!(f, "the mark could not be kept: {error}"),
        }
    }
}

impl Fleet {
    pub(super) fn state(&self) -> MutexGuard<'_, Fleets> {
        self.0.state.lock().expect("nobody panics with it")
    }

    /// Returns the nonce that is handed to whoever beats.
    pub(crate) fn beat(&self, beat: Beat) -> Option<DrainNonce> {
        let mut state = self.state();
        let Beat { from, in_hand } = beat;
        let name = from.name.clone();
        if let Some(worker) = state.workers.get(&name) {
            if worker.evicted.as_deref() == Some(&from.id) {
                return None;
            }
            if worker.instance.id == from.id && worker.is_well {
                return self.handed_out(worker);
            }
        }
        self.0.say.line(format_args!(
            "{name} is here, with {in_hand} in hand: watches its health"
        ));
        let old = state.workers.remove(&name);
        let (handle, evicted) = match old {
            Some(old) => {
                old.health.abort();
                state.queue.extend(old.jobs.into_values().map(|job| job.0));
                (old.handle, old.evicted)
            }
            None => (DrainHandle::new(), None),
        };
        let worker = self.watched(from, handle, evicted);
        let nonce = self.handed_out(&worker);
        state.workers.insert(name, worker);
        nonce
    }

    pub(crate) async fn submit(&self, job: Job) {
        self.state().queue.push_back(job);
        self.dispatch().await;
    }

    /// Ends when the queue is empty, nobody may have a job, or one could not be handed over.
    pub(crate) async fn dispatch(&self) {
        while let Some((job, to)) = self.next() {
            let (number, name) = (job.number, &to.name);
            self.0.say.line(format_args!("job {number} goes to {name}"));
            let handed = self.0.client.tell(to.jobs_at, "jobs", &job, LIMIT);
            if let Err(error) = handed.await {
                self.0.say.line(format_args!("job {number}: {error}"));
                let mut state = self.state();
                let worker = state.workers.get_mut(name);
                let mine = worker.filter(|worker| worker.instance.id == to.id);
                // Else it is in the queue already.
                if mine
                    .and_then(|worker| worker.jobs.remove(&number))
                    .is_some()
                {
                    state.queue.push_front(job);
                }
                return;
            }
        }
    }

    /// Taken under the lock under which a worker is marked.
    fn next(&self) -> Option<(Job, Instance)> {
        let mut state = self.state();
        let Fleets { workers, queue } = &mut *state;
        let may_have_one =
            |worker: &&mut Worker| worker.is_well && worker.handle.phase() == Phase::Serving;
        let free = workers.values_mut().filter(may_have_one);
        let worker = free.min_by_key(|worker| worker.jobs.len())?;
        let job = queue.pop_front()?;
        let guard = worker.handle.try_guard_as(format!("job {}", job.number));
        let guard = guard.expect("a handle that is never told to reject");
        worker.jobs.insert(job.number, (job.clone(), guard));
        Some((job, worker.instance.clone()))
    }

    pub(crate) fn ended(&self, ended: &Ended) {
        let mut state = self.state();
        let Ended { name, job, .. } = ended;
        if let Some(worker) = state.workers.get_mut(name) {
            if worker.instance.id == ended.id {
                worker.jobs.remove(job);
            }
        }
        if ended.how == How::Done {
            self.0
                .say
                .line(format_args!("job {job} is done, by {name}"));
        }
    }
}
