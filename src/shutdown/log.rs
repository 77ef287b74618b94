//! The lines of a shutdown, with the target `tower_drain::shutdown`. Their fields are part of the interface:
//! dashboards are built on them. Times are in seconds.

use std::error::Error;
use std::time::Duration;

use super::report::{HookOutcome, HookStage};
use super::rules::Heard;
use super::timeouts::Budget;
use super::ShutdownReport;
use crate::one_line::OneLine;
use crate::{words, DrainHandle, DrainReason, FrontReport, Straggler};

macro_rules! line {
    ($level:ident, $($rest:tt)*) => {
        crate::lines::write(|| tracing::$level!(target: "tower_drain::shutdown", $($rest)*))
    };
}

/// `None`, which is no field, for what has no limit.
fn limit(duration: Duration) -> Option<f64> {
    (duration < Duration::MAX).then(|| seconds(duration))
}

/// How many of the oldest stragglers a line of progress names.
const OLDEST: usize = 5;

fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

pub(super) fn budget(budget: &Budget) {
    let timeouts = &budget.timeouts;
    let worst_case_s = limit(budget.worst_case);
    let grace_period_s = worst_case_s.map(|_| budget.grace_period_s());
    let told = match (worst_case_s, grace_period_s) {
        (Some(takes), Some(grace)) => {
            format!("a shutdown takes at most {takes} s and needs a grace period of {grace} s")
        }
        _ => "a shutdown may take without limit".to_owned(),
    };
    line!(
        info,
        worst_case_s,
        grace_period_s,
        platform_s = limit(timeouts.platform),
        lame_duck_s = limit(timeouts.lame_duck),
        settle_s = limit(timeouts.settle),
        drain_s = limit(timeouts.drain),
        close_s = limit(timeouts.close),
        "{told}",
    );
}

#[cfg(target_os = "linux")]
pub(super) fn signals_blocked(signals: &[&str]) {
    let (signals, are) = (signals.join(" and "), ["is", "are"][signals.len() - 1]);
    line!(
        warn,
        signals,
        "{signals} {are} blocked in the signal mask that this process was started with, and will not be heard"
    );
}

pub(super) fn variable_unread(name: &str, known: &[&str]) {
    let known = known.join(", ");
    let said = OneLine(name);
    line!(
        warn,
        name,
        "{said} is set, but this crate does not read it; the variables are {known}"
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

/// One line for each step, when it begins; `at_most_s` is how long it may last, if there is a limit.
pub(super) fn step(step: &'static str, at_most: Duration, handle: &DrainHandle) {
    line!(
        info,
        step,
        at_most_s = limit(at_most),
        in_flight = handle.in_flight(),
        "{step}"
    );
}

/// What came in the last second of the lame duck.
pub(super) fn front(seen: &FrontReport) {
    let (readiness_asked, late_connections) = (seen.readiness_asked, seen.late_connections);
    let late_requests = seen.late_requests;
    if seen.still_sends() {
        line!(
            warn,
            readiness_asked,
            late_connections,
            late_requests,
            "the front still sends: {seen}; let it check readiness, or set a longer GRACEFUL_SHUTDOWN_LAME_DUCK, or \
             stop accepting at the lame duck if it has no checks"
        );
    } else {
        line!(
            info,
            readiness_asked,
            late_connections,
            late_requests,
            "the front: {seen}"
        );
    }
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
pub(super) fn systemd_not_told(what: &str, error: &std::io::Error) {
    line!(warn, %error, "systemd could not be told {what}");
}

#[cfg(all(feature = "systemd", target_os = "linux"))]
pub(super) fn notify_socket_unusable(socket: &str, error: &std::io::Error) {
    line!(warn, socket, %error, "systemd is told nothing");
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
