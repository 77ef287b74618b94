//! The mark of a worker that drains: set by the one that leaves, lifted by the one that comes, or by time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_drain::{BoxError, DrainHandle, DrainNonce, Phase};

use super::client::Client;
use super::fleet::{Fleet, Fleets, Inner, Refusal, Worker};
use super::kept::{self, Mark, Marks};
use super::say::Say;
use super::wire::{ContainerReady, Eviction};

impl Fleet {
    /// Takes up the marks that the last coordinator kept.
    pub(crate) fn restore(
        directory: PathBuf,
        handoff_after: Duration,
        ttl: Duration,
        say: Say,
    ) -> Result<Self, BoxError> {
        let file = directory.join("marks.json");
        let marks = kept::marks(&file)?;
        let fleet = Self(Arc::new(Inner {
            handoff_after,
            ttl,
            marks: file,
            client: Client::new(),
            say,
            state: Mutex::default(),
        }));
        for (name, mark) in marks {
            let handle = DrainHandle::restore(mark.drain);
            let Some(left) = handle.status().lifts_in else {
                continue;
            };
            let left = left.as_secs_f64();
            fleet.0.say.line(format_args!(
                "{name} still drains, for {left:.1} s at most: it was kept"
            ));
            fleet.watch_mark(&name, &handle);
            let worker = fleet.watched(mark.instance, handle, mark.evicted);
            fleet.state().workers.insert(name, worker);
        }
        Ok(fleet)
    }

    /// The mark and its nonce come in one step, under the lock of who gets the next job.
    pub(crate) fn evict(&self, eviction: &Eviction) -> Result<(), Refusal> {
        let Eviction { name, id, reason } = eviction;
        let mut state = self.state();
        let worker = state.workers.get_mut(name);
        let worker = worker.filter(|worker| worker.instance.id == *id);
        let worker = worker.ok_or(Refusal::Unknown)?;
        if worker.evicted.as_ref() == Some(id) {
            return Ok(());
        }
        worker.evicted = Some(id.clone());
        worker.is_returned = false;
        // One that is evicted before it was ready gets a mark of its own: the nonce it was handed is stale then.
        let former = worker.handle.nonce();
        if let Some(nonce) = former {
            worker.handle.resume(nonce).map_err(Refusal::Stale)?;
        }
        let reason = format!("{name} is evicted: {reason}");
        worker.handle.begin_lame_duck_for(self.0.ttl, reason.into());
        if former.is_none() {
            self.watch_mark(name, &worker.handle);
        }
        self.keep(&state)?;
        self.0.say.line(format_args!(
            "{name} drains: nothing more goes to it, its health is watched on"
        ));
        Ok(())
    }

    /// Neither to the one that was evicted nor before it can be assumed dead. The clock is the mark's own, which goes
    /// on over a restart.
    pub(super) fn handed_out(&self, worker: &Worker) -> Option<DrainNonce> {
        if worker.evicted.as_ref() == Some(&worker.instance.id) {
            return None;
        }
        let left = worker.handle.status().lifts_in?;
        match left + self.0.handoff_after <= self.0.ttl {
            true => worker.handle.nonce(),
            false => None,
        }
    }

    pub(crate) fn ready(&self, ready: &ContainerReady) -> Result<(), Refusal> {
        let mut state = self.state();
        let worker = state.workers.get_mut(&ready.name);
        let worker = worker.ok_or(Refusal::Unknown)?;
        let resumed = worker.handle.resume(ready.nonce);
        resumed.map_err(Refusal::Stale)?;
        worker.is_returned = true;
        self.keep(&state)
    }

    fn keep(&self, state: &Fleets) -> Result<(), Refusal> {
        let draining = state
            .workers
            .iter()
            .filter(|(_, worker)| worker.handle.phase() != Phase::Serving);
        let marks: Marks = draining
            .map(|(name, worker)| {
                let mark = Mark {
                    instance: worker.instance.clone(),
                    evicted: worker.evicted.clone(),
                    drain: worker.handle.snapshot(),
                };
                (name.clone(), mark)
            })
            .collect();
        kept::write(&self.0.marks, &marks).map_err(Refusal::NotKept)
    }

    /// Says how the mark goes, and has work again for whoever had it.
    fn watch_mark(&self, name: &str, handle: &DrainHandle) {
        let (fleet, name, handle) = (self.clone(), name.to_owned(), handle.clone());
        tokio::spawn(async move {
            loop {
                let changed = handle.changed();
                if handle.phase() == Phase::Serving {
                    break;
                }
                changed.await;
            }
            let is_returned = {
                let state = fleet.state();
                state
                    .workers
                    .get(&name)
                    .is_some_and(|worker| worker.is_returned)
            };
            let say = &fleet.0.say;
            match is_returned {
                true => say.line(format_args!("{name} is ready: its mark is lifted")),
                false => say.line(format_args!("{name}: nobody came, its mark lifts itself")),
            }
            fleet.dispatch().await;
        });
    }

    /// What each worker's status service says, by its name.
    pub(crate) async fn drain_status(&self) -> Result<BTreeMap<String, Value>, BoxError> {
        let handles: Vec<(String, DrainHandle)> = {
            let state = self.state();
            let all = state.workers.iter();
            all.map(|(name, worker)| (name.clone(), worker.handle.clone()))
                .collect()
        };
        let mut all = BTreeMap::new();
        for (name, handle) in handles {
            let service = handle.status_service().detailed();
            let said = service.oneshot(Request::new(())).await?.into_body();
            let said = said.collect().await?.to_bytes();
            all.insert(name, serde_json::from_slice(&said)?);
        }
        Ok(all)
    }
}
