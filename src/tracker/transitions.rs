//! From phase to phase. Everything here happens under the tracker's lock; wakers are called after it.

use std::time::SystemTime;

use tokio::time::Instant;

use super::batch::Batches;
use super::count::Staged;
#[cfg(feature = "admin")]
use super::lifts::Lifts;
use super::registry::Wakes;
use super::sync::lock;
use super::Tracker;
use crate::{lines, DrainNonce, DrainReason, Phase, ResumeError};

#[derive(Debug)]
pub(super) struct State {
    pub(super) staged: Staged,
    pub(super) since: SystemTime,
    /// The phase of the moment in which it was sealed.
    pub(super) sealed: Option<Phase>,
    pub(super) drain: Option<Ongoing>,
    /// Of each shard.
    pub(super) batches: Box<[Batches]>,
}

#[derive(Debug)]
pub(super) struct Ongoing {
    pub(super) nonce: DrainNonce,
    pub(super) reason: DrainReason,
    #[cfg(feature = "admin")]
    pub(super) lifts: Option<Lifts>,
    pub(super) cut: usize,
    pub(super) began: Option<Began>,
    pub(super) drained: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Began {
    pub(super) at: Instant,
    pub(super) in_flight: usize,
    pub(super) rejected_before: u64,
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

impl Ongoing {
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
        #[cfg(feature = "admin")]
        self.publish_expiry(state);
        self.stage.0.publish(state.staged);
    }

    fn log(&self, phase: Phase) {
        let in_flight = self.in_flight();
        lines::write(|| tracing::info!(target: "tower_drain", %phase, in_flight, "phase changed"));
    }

    fn announce(&self, phase: Phase, fired: Wakes) {
        self.log(phase);
        for shard in self.shards() {
            shard.wake(fired.and(Wakes::CHANGE));
        }
    }

    /// To the lame duck, from serving.
    pub(crate) fn leave(&self, reason: DrainReason) -> Option<DrainNonce> {
        let mut state = lock(&self.state);
        let nonce = self.leave_locked(&mut state, Ongoing::new(DrainNonce::random(), reason))?;
        drop(state);
        self.left();
        Some(nonce)
    }

    pub(super) fn left(&self) {
        self.announce(Phase::LameDuck, Wakes::LEAVE);
    }

    pub(super) fn leave_locked(&self, state: &mut State, drain: Ongoing) -> Option<DrainNonce> {
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
        self.begin_as(Ongoing::new(DrainNonce::random(), reason))
    }

    pub(super) fn begin_as(&self, new: Ongoing) -> Option<DrainNonce> {
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
        {
            state.disarm();
            self.publish_expiry(&state);
        }
        true
    }

    pub(crate) fn cut(&self) -> usize {
        let mut state = lock(&self.state);
        let shards = self.shards().zip(state.batches.iter_mut());
        let ended = shards.map(|(shard, batches)| batches.cut(shard)).sum();
        if let Some(drain) = &mut state.drain {
            drain.cut += ended;
        }
        // The last of them may have left while the cut had a reference of its own.
        let drained = self.settle_locked(&mut state);
        drop(state);
        lines::write(|| tracing::info!(target: "tower_drain", ended, "cut"));
        for shard in self.shards() {
            shard.wake(Wakes::CUT);
        }
        if drained {
            self.announce(Phase::Drained, Wakes::CHANGE);
        }
        ended
    }
}
