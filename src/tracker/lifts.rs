//! A drain that lifts itself at a moment, and what of a drain is carried over a restart.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::sync::lock;
use super::transitions::{Ongoing, State};
use super::Tracker;
use crate::{lines, DrainNonce, DrainReason, Phase};

/// When a drain lifts itself, and what wakes it then. The drain owns its timer: one that is taken back, sealed or freed
/// stops it.
pub(crate) struct Lifts {
    at: Instant,
    timer: Option<Box<dyn Send>>,
}

impl Lifts {
    pub(crate) fn new(at: Instant, timer: impl Send + 'static) -> Self {
        Self {
            at,
            timer: Some(Box::new(timer)),
        }
    }
}

impl fmt::Debug for Lifts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifts")
            .field("at", &self.at)
            .field("armed", &self.timer.is_some())
            .finish()
    }
}

/// What a restart takes up again.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) phase: Phase,
    pub(crate) nonce: DrainNonce,
    pub(crate) reason: DrainReason,
    pub(crate) lifts_in: Option<Duration>,
}

impl State {
    pub(super) fn lifts_in(&self) -> Option<Duration> {
        let lifts = self.drain.as_ref()?.lifts.as_ref()?;
        Some(lifts.at.saturating_duration_since(Instant::now()))
    }

    pub(super) fn disarm(&mut self) {
        if let Some(lifts) = self.drain.as_mut().and_then(|drain| drain.lifts.as_mut()) {
            lifts.timer = None;
        }
    }
}

impl Tracker {
    /// To the lame duck, from serving, unless it is sealed: then the drain could not be lifted.
    pub(crate) fn leave_until(
        &self,
        nonce: DrainNonce,
        reason: DrainReason,
        lifts: Option<Lifts>,
    ) -> Option<DrainNonce> {
        let mut state = lock(&self.state);
        if state.sealed.is_some() {
            return None;
        }
        let mut drain = Ongoing::new(nonce, reason);
        drain.lifts = lifts;
        let nonce = self.leave_locked(&mut state, drain)?;
        drop(state);
        self.left();
        // The timer may have fired before there was a drain for it.
        self.lift_if_due();
        Some(nonce)
    }

    /// To the phase of a drain of another process, in one step, so that one whose time is nearly over is not lifted
    /// between two and then begun anew.
    pub(crate) fn take_up(
        &self,
        phase: Phase,
        nonce: DrainNonce,
        reason: DrainReason,
        lifts: Option<Lifts>,
    ) {
        if phase == Phase::LameDuck {
            self.leave_until(nonce, reason, lifts);
        } else {
            let mut drain = Ongoing::new(nonce, reason);
            drain.lifts = lifts;
            self.begin_as(drain);
            self.lift_if_due();
        }
    }

    /// Publishes whether the drain that is on can lift itself, for code without the lock.
    pub(super) fn publish_expiry(&self, state: &State) {
        let lifts = state.drain.as_ref().and_then(|drain| drain.lifts.as_ref());
        let can_lift = lifts.is_some() && state.sealed.is_none();
        self.stage.0.expiring.set(can_lift.into());
    }

    #[cold]
    pub(super) fn lift_expired(&self) {
        let Some(nonce) = self.due() else {
            return;
        };
        if self.resume(nonce).is_ok() {
            lines::write(
                || tracing::info!(target: "tower_drain", "the drain's time to live is over: it lifted itself"),
            );
        }
    }

    fn due(&self) -> Option<DrainNonce> {
        let state = lock(&self.state);
        let drain = state.drain.as_ref()?;
        let is_due = drain.lifts.as_ref()?.at <= Instant::now();
        is_due.then_some(drain.nonce)
    }

    /// What was on when it was sealed, if it was: what came after that is the end of this process.
    pub(crate) fn carried(&self) -> Option<Carried> {
        let state = lock(&self.state);
        let phase = state.sealed.unwrap_or(state.staged.phase);
        let drain = state.drain.as_ref()?;
        (phase > Phase::Serving).then(|| Carried {
            phase,
            nonce: drain.nonce,
            reason: drain.reason.clone(),
            lifts_in: state.lifts_in(),
        })
    }
}
