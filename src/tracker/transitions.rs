//! From phase to phase. Everything here happens under the tracker's lock; wakers are called after it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::batch::Batches;
use super::count::Staged;
#[cfg(feature = "admin")]
use super::lifts::Lifts;
use super::registry::{Called, Wakes};
use super::sync::lock;
use super::Tracker;
use crate::{
    lines, DrainNonce, DrainReason, DrainReport, DrainStatus, Phase, ResumeError, Straggler,
    StragglerPhase,
};

/// Which drain somebody waits for: its number among those of this tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DrainId(u32);

/// How it stands with a drain, for one waiter.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Not rejecting yet.
    Waiting,
    /// Rejecting since then.
    Rejecting(Instant),
    Drained(DrainReport),
    Resumed,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) staged: Staged,
    since: SystemTime,
    /// The phase of the moment in which it was sealed.
    pub(super) sealed: Option<Phase>,
    pub(super) drain: Option<Drain>,
    /// Of each shard.
    batches: Box<[Batches]>,
}

#[derive(Debug)]
pub(super) struct Drain {
    pub(super) nonce: DrainNonce,
    pub(super) reason: DrainReason,
    #[cfg(feature = "admin")]
    pub(super) lifts: Option<Lifts>,
    cut: usize,
    began: Option<Began>,
    drained: Option<Instant>,
}

#[derive(Debug)]
struct Began {
    at: Instant,
    in_flight: usize,
    rejected_before: u64,
}

impl State {
    pub(super) fn new(batches: Box<[Batches]>) -> Self {
        Self {
            batches,
            staged: Staged {
                phase: Phase::Serving,
                leaves: 0,
                begins: 0,
            },
            since: SystemTime::now(),
            sealed: None,
            drain: None,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.batches.iter().map(Batches::held).sum()
    }
}

impl Drain {
    pub(super) fn new(nonce: DrainNonce, reason: DrainReason) -> Self {
        Self {
            nonce,
            reason,
            #[cfg(feature = "admin")]
            lifts: None,
            cut: 0,
            began: None,
            drained: None,
        }
    }
}

impl Tracker {
    fn publish(&self, state: &mut State, phase: Phase) {
        state.staged.phase = phase;
        state.since = SystemTime::now();
        self.stage.0.publish(state.staged);
    }

    fn log(&self, phase: Phase) {
        let in_flight = self.in_flight();
        lines::write(|| tracing::info!(target: "tower_drain", %phase, in_flight, "phase changed"));
    }

    fn announce(&self, phase: Phase, fired: Wakes) {
        self.log(phase);
        self.shards()
            .for_each(|shard| shard.wake(fired.and(Wakes::CHANGE)));
    }

    /// To the lame duck, from serving.
    pub(crate) fn leave(&self, reason: DrainReason) -> Option<DrainNonce> {
        let mut state = lock(&self.state);
        let nonce = self.leave_locked(&mut state, Drain::new(DrainNonce::random(), reason))?;
        drop(state);
        self.left();
        Some(nonce)
    }

    pub(super) fn left(&self) {
        self.announce(Phase::LameDuck, Wakes::LEAVE);
    }

    pub(super) fn leave_locked(&self, state: &mut State, drain: Drain) -> Option<DrainNonce> {
        if state.drain.is_some() {
            return None;
        }
        let nonce = drain.nonce;
        state.drain = Some(drain);
        state.staged.leaves += 1;
        self.publish(state, Phase::LameDuck);
        Some(nonce)
    }

    /// To draining, from serving or the lame duck. Whoever comes second waits at the lock until every shard is closed.
    pub(crate) fn begin(&self, reason: DrainReason) -> Option<DrainNonce> {
        self.begin_as(Drain::new(DrainNonce::random(), reason))
    }

    pub(super) fn begin_as(&self, new: Drain) -> Option<DrainNonce> {
        let mut state = lock(&self.state);
        let left = self.leave_locked(&mut state, new).is_some();
        let State { drain, batches, .. } = &mut *state;
        let drain = drain.as_mut()?;
        if drain.began.is_some() {
            return None;
        }
        let rejected_before = self.rejected();
        let shards = self.shards().zip(batches.iter_mut());
        let in_flight = shards.map(|(shard, batches)| batches.close(shard)).sum();
        drain.began = Some(Began {
            in_flight,
            rejected_before,
            at: Instant::now(),
        });
        let nonce = drain.nonce;
        state.staged.begins += 1;
        self.publish(&mut state, Phase::Draining);
        let drained = self.settle_locked(&mut state);
        drop(state);
        // One pass over those who wait, also where two phases are announced.
        let mut fired = Wakes::BEGIN;
        if left {
            self.log(Phase::LameDuck);
            fired = fired.and(Wakes::LEAVE);
        }
        self.announce(Phase::Draining, fired);
        if drained {
            self.announce(Phase::Drained, Wakes::CHANGE);
        }
        Some(nonce)
    }

    /// Called by whoever ended a batch of this shard (invariant 4).
    pub(super) fn settle(&self, shard: usize) {
        let mut state = lock(&self.state);
        state.batches[shard].over();
        if self.settle_locked(&mut state) {
            drop(state);
            self.announce(Phase::Drained, Wakes::CHANGE);
        }
    }

    fn settle_locked(&self, state: &mut State) -> bool {
        // Between the end of a batch and this lock a resume may have come, and the next begin.
        let is_draining = state.staged.phase == Phase::Draining;
        let drained = is_draining && state.batches.iter().all(Batches::are_over);
        if drained {
            if let Some(drain) = &mut state.drain {
                drain.drained = Some(Instant::now());
            }
            self.publish(state, Phase::Drained);
        }
        drained
    }

    /// Back to serving. Every shard is open before that is published, as every one is closed before `Draining` is.
    pub(crate) fn resume(&self, nonce: DrainNonce) -> Result<(), ResumeError> {
        let mut state = lock(&self.state);
        match &state.drain {
            Some(drain) if drain.nonce == nonce => {}
            _ => return Err(ResumeError::stale()),
        }
        if state.sealed.is_some() {
            return Err(ResumeError::sealed());
        }
        state.drain = None;
        for (shard, batches) in self.shards().zip(state.batches.iter_mut()) {
            batches.open(shard);
        }
        self.publish(&mut state, Phase::Serving);
        drop(state);
        self.announce(Phase::Serving, Wakes::CHANGE);
        Ok(())
    }

    pub(crate) fn seal(&self) -> bool {
        let mut state = lock(&self.state);
        if state.sealed.is_some() {
            return false;
        }
        state.sealed = Some(state.staged.phase);
        #[cfg(feature = "admin")]
        state.disarm();
        true
    }

    pub(crate) fn cut(&self) -> usize {
        let mut state = lock(&self.state);
        let shards = self.shards().zip(state.batches.iter_mut());
        let ended = shards.map(|(shard, batches)| batches.cut(shard)).sum();
        if let Some(drain) = &mut state.drain {
            drain.cut += ended;
        }
        // It may have let go of the last reference: others left while it counted them.
        let drained = self.settle_locked(&mut state);
        drop(state);
        lines::write(|| tracing::info!(target: "tower_drain", ended, "cut"));
        self.shards().for_each(|shard| shard.wake(Wakes::CUT));
        if drained {
            self.announce(Phase::Drained, Wakes::CHANGE);
        }
        ended
    }

    /// The drain that is on, or else the next.
    pub(crate) fn current_or_next(&self) -> DrainId {
        let staged = self.staged();
        DrainId(staged.leaves + u32::from(staged.phase == Phase::Serving))
    }

    /// How it stands with `id`, for somebody who waits for it since `called`.
    pub(crate) fn outcome(&self, id: DrainId, called: Instant) -> Outcome {
        let state = lock(&self.state);
        if state.staged.leaves < id.0 {
            return Outcome::Waiting;
        }
        if state.staged.leaves > id.0 {
            return Outcome::Resumed;
        }
        let Some(drain) = &state.drain else {
            return Outcome::Resumed;
        };
        let Some(began) = &drain.began else {
            return Outcome::Waiting;
        };
        let Some(drained) = drain.drained else {
            return Outcome::Rejecting(began.at);
        };
        Outcome::Drained(DrainReport {
            waited: drained.saturating_duration_since(began.at.max(called)),
            in_flight_at_start: began.in_flight,
            cut: drain.cut,
            rejected: self.rejected() - began.rejected_before,
        })
    }

    pub(crate) fn nonce(&self) -> Option<DrainNonce> {
        lock(&self.state).drain.as_ref().map(|drain| drain.nonce)
    }

    pub(crate) fn reason(&self) -> Option<DrainReason> {
        let state = lock(&self.state);
        state.drain.as_ref().map(|drain| drain.reason.clone())
    }

    pub(crate) fn status(&self) -> DrainStatus {
        let state = lock(&self.state);
        DrainStatus {
            phase: state.staged.phase,
            in_flight: state.in_flight(),
            rejected: self.rejected(),
            reason: state.drain.as_ref().map(|drain| drain.reason.clone()),
            since: state.since,
            #[cfg(feature = "admin")]
            lifts_in: state.lifts_in(),
        }
    }

    /// Oldest first, and last those of whom only the number is known.
    pub(crate) fn stragglers(&self) -> Vec<Straggler> {
        let mut stragglers = Vec::new();
        let mut unseen = 0;
        let now = Instant::now();
        let state = lock(&self.state);
        for (shard, batches) in self.shards().zip(state.batches.iter()) {
            unseen += shard.holders(batches.held(), |phase, holder| {
                let (method, path, label) = match &holder.called {
                    Called::Nothing => (None, None, None),
                    Called::Request(name) => {
                        let (method, path) = name.parts();
                        (Some(method), Some(path), None)
                    }
                    Called::Label(label) => (None, None, Some(label.clone())),
                };
                stragglers.push(Straggler {
                    id: holder.id,
                    method: method.map(str::to_owned),
                    path: path.map(str::to_owned),
                    label,
                    age: now.saturating_duration_since(holder.since),
                    phase,
                });
            });
        }
        drop(state);
        stragglers.sort_by(|a, b| b.age.cmp(&a.age).then(a.id.cmp(&b.id)));
        let least = self
            .rejecting_since()
            .map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        stragglers.extend((0..unseen).map(|_| Straggler {
            id: 0,
            method: None,
            path: None,
            label: None,
            age: least,
            phase: StragglerPhase::Unseen,
        }));
        stragglers
    }

    /// When rejecting began, in the drain that is on.
    pub(crate) fn rejecting_since(&self) -> Option<Instant> {
        Some(lock(&self.state).drain.as_ref()?.began.as_ref()?.at)
    }
}
