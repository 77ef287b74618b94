//! What is told of a drain: to those who wait for its end, and to those who ask how it stands.

use std::time::Duration;

use tokio::time::Instant;

use super::oldest::Oldest;
use super::sync::lock;
use super::Tracker;
use crate::{DrainNonce, DrainReason, DrainReport, DrainStatus, Phase, Straggler, StragglerPhase};

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

impl Tracker {
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

    /// Returns how many were cut in the drain that is on.
    #[cfg(feature = "shutdown")]
    pub(crate) fn cut_so_far(&self) -> usize {
        let state = lock(&self.state);
        state.drain.as_ref().map_or(0, |drain| drain.cut)
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
        self.oldest(usize::MAX).0
    }

    /// The same, but for the `most` oldest alone; and how many there are.
    pub(crate) fn oldest(&self, most: usize) -> (Vec<Straggler>, usize) {
        let mut oldest = Oldest::new(most);
        let mut unseen = 0;
        let now = Instant::now();
        for (index, shard) in self.shards().enumerate() {
            let state = lock(&self.state);
            unseen += shard.holders(
                || state.batches[index].held(),
                |phase, holder| oldest.offer(phase, holder),
            );
        }
        let in_flight = oldest.offered + unseen;
        let mut stragglers = oldest.into_stragglers(now);
        let least = self
            .rejecting_since()
            .map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let room = most - stragglers.len();
        stragglers.extend((0..unseen.min(room)).map(|_| Straggler {
            id: 0,
            method: None,
            path: None,
            label: None,
            age: least,
            phase: StragglerPhase::Unseen,
        }));
        (stragglers, in_flight)
    }

    /// When rejecting began, in the drain that is on.
    pub(crate) fn rejecting_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let began = state.drain.as_ref()?.began.as_ref()?;
        Some(began.at)
    }

    /// Keeps everything else out that takes the lock.
    #[cfg(all(
        test,
        feature = "stream",
        not(any(tower_drain_loom, tower_drain_shuttle))
    ))]
    pub(crate) fn locked(&self) -> impl Sized + '_ {
        lock(&self.state)
    }
}
