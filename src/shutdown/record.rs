//! What is known of a shutdown while it is on.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::hooks::{Hook, Hooks};
use super::report::{HookOutcome, HookReport, HookStage, PhaseTimes, ShutdownReport};
use crate::{DrainHandle, DrainReason, FrontReport, Straggler};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) reason: DrainReason,
    began: Instant,
    rejected_before: u64,
    pub(super) phases: PhaseTimes,
    pub(super) in_flight: usize,
    pub(super) front: Option<FrontReport>,
    pub(super) still_held: Vec<Straggler>,
    pub(super) unflushed: usize,
    /// What the drain did not need of its time.
    pub(super) left_of_drain: Duration,
    /// What dropping the connections took beyond the closing: one whose handler blocks its thread cannot be dropped.
    pub(super) overdrawn: Duration,
    hooks: Vec<HookReport>,
}

impl Record {
    pub(super) fn new(reason: DrainReason, handle: &DrainHandle, hooks: &Hooks) -> Self {
        let mut entries = Vec::new();
        enter(&mut entries, HookStage::OnBegin, &hooks.on_begin);
        enter(&mut entries, HookStage::OnCut, &hooks.on_cut);
        enter(&mut entries, HookStage::OnDrained, &hooks.on_drained);
        Self {
            reason,
            began: Instant::now(),
            rejected_before: handle.status().rejected,
            phases: PhaseTimes::default(),
            in_flight: 0,
            front: None,
            still_held: Vec::new(),
            unflushed: 0,
            left_of_drain: Duration::ZERO,
            overdrawn: Duration::ZERO,
            hooks: entries,
        }
    }

    /// Where the hooks of a stage are.
    pub(super) fn places(&self, stage: HookStage) -> Range<usize> {
        let before = |hook: &HookReport| (hook.stage as u8) < stage as u8;
        let until = |hook: &HookReport| hook.stage as u8 <= stage as u8;
        self.hooks.partition_point(before)..self.hooks.partition_point(until)
    }

    pub(super) fn hook_began(&mut self, place: usize) {
        self.hooks[place].outcome = HookOutcome::Unfinished;
    }

    pub(super) fn hook_ended(&mut self, place: usize, (outcome, took): (HookOutcome, Duration)) {
        self.hooks[place].outcome = outcome;
        self.hooks[place].took = took;
    }

    pub(super) fn report(&self, handle: &DrainHandle) -> ShutdownReport {
        ShutdownReport {
            reason: self.reason.clone(),
            took: self.began.elapsed(),
            phases: self.phases,
            in_flight: self.in_flight,
            // By the sequence or by hand.
            cut: handle.cut_so_far(),
            front: self.front,
            still_held: self.still_held.clone(),
            unflushed: self.unflushed,
            rejected: handle.status().rejected - self.rejected_before,
            hooks: self.hooks.clone(),
        }
    }
}

fn enter<A>(entries: &mut Vec<HookReport>, stage: HookStage, hooks: &[Hook<A>]) {
    entries.extend(hooks.iter().map(|hook| HookReport {
        stage,
        name: hook.name.clone(),
        outcome: HookOutcome::Skipped,
        took: Duration::ZERO,
    }));
}
