//! The lines of a shutdown, all with the target `tower_drain::shutdown`. Their fields are part of the interface:
//! dashboards are built on them. Times are in seconds.

use std::error::Error;
use std::time::Duration;

use super::report::{HookOutcome, HookStage};
use super::rules::Heard;
use super::timeouts::Budget;
use super::ShutdownReport;
use crate::one_line::OneLine;
use crate::{words, DrainHandle, DrainReason, Straggler};

macro_rules! line {
    ($level:ident, $($rest:tt)*) => {
        crate::lines::write(|| tracing::$level!(target: "tower_drain::shutdown", $($rest)*))
    };
}

/// How many of the oldest stragglers a line of progress names.
const OLDEST: usize = 5;

fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

pub(super) fn budget(budget: &Budget) {
    let timeouts = &budget.timeouts;
    line!(
        info,
        worst_case_s = seconds(budget.worst_case),
        grace_period_s = budget.grace_period_s(),
        platform_s = seconds(timeouts.platform),
        lame_duck_s = seconds(timeouts.lame_duck),
        settle_s = seconds(timeouts.settle),
        drain_s = seconds(timeouts.drain),
        close_s = seconds(timeouts.close),
        "a shutdown takes at most {} s and needs a grace period of {} s",
        seconds(budget.worst_case),
        budget.grace_period_s(),
    );
}

pub(super) fn variable_unread(name: &str, known: &[&str]) {
    let known = known.join(", ");
    let said = OneLine(name);
    line!(
        warn,
        name,
        "{said} is set and read by nobody; the variables are {known}"
    );
}

pub(super) fn triggered(reason: &DrainReason, handle: &DrainHandle) {
    line!(info, %reason, phase = %handle.phase(), in_flight = handle.in_flight(), "shutdown begins");
}

pub(super) fn server_ended_first() {
    line!(warn, "the server ended by itself");
}

pub(super) fn server_failed(error: &(dyn Error + 'static)) {
    let words = words::of_error(error);
    line!(error, error = %OneLine(&words), "the server ended in an error");
}

/// One line for each step, when it begins; `at_most_s` is how long it may last.
pub(super) fn step(step: &'static str, at_most: Duration, handle: &DrainHandle) {
    line!(
        info,
        step,
        at_most_s = seconds(at_most),
        in_flight = handle.in_flight(),
        "{step}"
    );
}

pub(super) fn signal(name: &'static str, heard: Heard) {
    line!(info, signal = name, meaning = %heard, "{name}: {heard}");
}

pub(super) fn progress(step: &'static str, waited: Duration, handle: &DrainHandle) {
    let (oldest, in_flight) = handle.tracker().oldest(OLDEST);
    let oldest: Vec<_> = oldest.iter().map(ToString::to_string).collect();
    line!(
        info,
        step,
        waited_s = seconds(waited),
        in_flight,
        oldest = oldest.join("; "),
        "waiting for {in_flight} in flight",
    );
}

pub(super) fn was_cut(straggler: &Straggler, is_gone: bool) {
    line!(
        warn,
        id = straggler.id,
        method = straggler.method,
        path = straggler.path,
        label = straggler.label.as_deref(),
        part = %straggler.phase,
        age_s = seconds(straggler.age),
        is_gone,
        "cut: {straggler}"
    );
}

pub(super) fn hook_ended(stage: HookStage, name: &str, outcome: &HookOutcome, took: Duration) {
    let took_s = seconds(took);
    match outcome {
        HookOutcome::Done => {
            line!(info, %stage, hook = name, %outcome, took_s, "{stage} {name:?}: {outcome}")
        }
        _ => line!(warn, %stage, hook = name, %outcome, took_s, "{stage} {name:?}: {outcome}"),
    }
}

pub(super) fn beside_failed(error: &str) {
    line!(error, error = %OneLine(error), "a server beside ended in an error");
}

pub(super) fn beside_dropped(servers: usize) {
    line!(
        warn,
        servers,
        "servers beside did not stop in time and were dropped"
    );
}

#[cfg(all(feature = "systemd", target_os = "linux"))]
pub(super) fn systemd_not_told(error: &std::io::Error) {
    let words = words::of_error(error);
    line!(warn, error = %OneLine(&words), "systemd could not be told");
}

/// The last line.
pub(super) fn report(report: &ShutdownReport) {
    let phases = &report.phases;
    let hooks: Vec<_> = (report.hooks.iter())
        .map(|hook| format!("{} {:?}: {}", hook.stage, hook.name, hook.outcome))
        .collect();
    let still_held: Vec<_> = report.still_held.iter().map(ToString::to_string).collect();
    macro_rules! last {
        ($level:ident, $verdict:literal) => {
            line!(
                $level,
                reason = %report.reason,
                took_s = seconds(report.took),
                lame_duck_s = seconds(phases.lame_duck),
                settle_s = seconds(phases.settle),
                drain_s = seconds(phases.drain),
                cut_s = seconds(phases.cut),
                close_s = seconds(phases.close),
                on_drained_s = seconds(phases.on_drained),
                in_flight = report.in_flight,
                cut = report.cut,
                rejected = report.rejected,
                unflushed = report.unflushed,
                still_held = still_held.join("; "),
                hooks = hooks.join("; "),
                $verdict
            )
        };
    }
    match report.is_complete() {
        true => last!(info, "shutdown complete"),
        false => last!(warn, "shutdown incomplete"),
    }
}
