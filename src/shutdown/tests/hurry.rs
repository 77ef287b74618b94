//! Signals while the sequence is on.

use std::future::pending;
use std::time::Duration;

use super::{after, assert_near, hang, hearing, run, s, work};
use crate::shutdown::rules::Signal::{Int, Term};
use crate::shutdown::{HookOutcome, OnSignal, Signals, Timeouts};
use crate::{BoxError, DrainHandle, Phase};

#[tokio::test(start_paused = true)]
async fn sigterm_runs_the_whole_sequence_and_is_its_reason() {
    let handle = DrainHandle::new();
    let (report, took) = run(hearing(&handle, &[(1.0, Term), (1.2, Term)])).await;
    assert_near(took, 7.0);
    assert_eq!(report.reason.to_string(), "SIGTERM");
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn sigint_cuts_at_once_and_hooks_keep_their_bounds() {
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let shutdown = hearing(&handle, &[(1.0, Int)])
        .on_begin("begin", s(4.0), hang)
        .on_cut("cut", s(2.0), hang)
        .on_drained("drained", s(1.0), hang);
    let (report, took) = run(shutdown).await;
    assert_near(took, 1.0 + 4.0);
    assert_eq!(report.cut, 1);
    assert_eq!(report.reason.to_string(), "SIGINT");
    assert!(report
        .hooks
        .iter()
        .all(|hook| hook.outcome == HookOutcome::TimedOut));
    assert!(report.phases.lame_duck.is_zero() && report.phases.settle.is_zero());
}

#[tokio::test(start_paused = true)]
async fn sigint_with_nothing_in_flight_cuts_nothing() {
    let handle = DrainHandle::new();
    let shutdown = hearing(&handle, &[(1.0, Int)])
        .on_cut("cut", s(2.0), |_| async { unreachable!("nothing was cut") });
    let (report, took) = run(shutdown).await;
    assert_near(took, 1.0);
    assert!(report.is_complete());
    assert_eq!(report.hooks[0].outcome, HookOutcome::Skipped);
}

/// A second signal so long after the first: a request that would take for ever is cut at that moment.
async fn second_signal_cuts(signals: &'static [(f64, crate::shutdown::rules::Signal)]) {
    let handle = DrainHandle::new();
    let work = work(&handle, 1000.0);
    let (report, took) = run(hearing(&handle, signals)).await;
    assert_near(took, signals[1].0);
    assert_eq!((report.cut, report.still_held.len()), (1, 0));
    assert_eq!(work.await.unwrap(), None);
    assert_eq!(handle.phase(), Phase::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_in_the_lame_duck_cuts() {
    second_signal_cuts(&[(0.0, Term), (3.0, Term)]).await;
    second_signal_cuts(&[(0.0, Term), (3.0, Int)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_in_either_settling_cuts() {
    second_signal_cuts(&[(0.0, Term), (5.25, Term)]).await;
    second_signal_cuts(&[(0.0, Term), (5.75, Term)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_in_the_drain_cuts() {
    second_signal_cuts(&[(0.0, Term), (17.0, Term)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_in_the_closing_drops_the_server() {
    let handle = DrainHandle::new();
    let shutdown = hearing(&handle, &[(0.0, Term), (8.0, Term)]);
    let start = tokio::time::Instant::now();
    let report = shutdown
        .run(|_stop| pending::<Result<(), BoxError>>())
        .await
        .unwrap();
    assert_near(start.elapsed().as_secs_f64(), 8.0);
    assert_eq!((report.cut, report.unflushed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_during_on_drained_leaves_the_hooks_their_bounds() {
    let handle = DrainHandle::new();
    let signals = &[(0.0, Term), (6.5, Term)];
    let shutdown = hearing(&handle, signals).on_drained("drained", s(2.0), hang);
    let (report, took) = run(shutdown).await;
    assert_near(took, 8.0);
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_that_is_ignored_changes_nothing() {
    let handle = DrainHandle::new();
    work(&handle, 20.0);
    let signals = Signals::default().second(OnSignal::Ignore);
    let (report, took) = run(hearing(&handle, &[(0.0, Term), (10.0, Term)]).signals(signals)).await;
    assert_near(took, 20.0);
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn one_more_sigint_after_a_cut_returns_at_once() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    let shutdown = hearing(&handle, &[(0.0, Int), (3.0, Int)])
        .on_begin("begin", s(20.0), hang)
        .on_cut("cut", s(10.0), hang)
        .on_drained("drained", s(10.0), hang);
    let (report, took) = run(shutdown).await;
    assert_near(took, 3.0);
    let outcomes: Vec<_> = report.hooks.into_iter().map(|hook| hook.outcome).collect();
    let unfinished = HookOutcome::Unfinished;
    assert_eq!(
        outcomes,
        [unfinished.clone(), unfinished, HookOutcome::Skipped]
    );
    assert_eq!((report.still_held.len(), report.unflushed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_more_sigint_after_the_cut_of_a_timeout_returns_at_once() {
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let shutdown = hearing(&handle, &[(0.0, Term), (67.0, Int)]).on_cut("cut", s(10.0), hang);
    let (report, took) = run(shutdown).await;
    assert_near(took, 67.0);
    assert_eq!(report.cut, 1);
}

#[tokio::test(start_paused = true)]
async fn two_sigint_in_one_moment_still_reject_and_cut() {
    let handle = DrainHandle::new();
    let work = work(&handle, 1000.0);
    let (report, took) = run(hearing(&handle, &[(1.0, Int), (1.0, Int)])).await;
    assert_near(took, 1.0);
    assert!(handle.is_draining());
    assert_eq!(report.cut, 1);
    assert_eq!(work.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_is_not_a_first_signal() {
    let handle = DrainHandle::new();
    work(&handle, 20.0);
    let (report, took) = run(hearing(&handle, &[(2.0, Term)]).trigger(after(0.0))).await;
    assert_near(took, 20.0);
    assert!(report.is_complete());
    assert_eq!(report.reason, "test".into());

    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let shutdown = hearing(&handle, &[(2.0, Term), (4.0, Term)]).trigger(after(0.0));
    let (report, took) = run(shutdown).await;
    assert_near(took, 4.0);
    assert_eq!(report.cut, 1);
}

#[tokio::test(start_paused = true)]
async fn an_administrators_call_and_a_sigterm_together_are_one_sequence() {
    let handle = DrainHandle::new();
    work(&handle, 20.0);
    let shutdown = hearing(&handle, &[(1.0, Term)]);
    let administrator = handle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(s(1.0)).await;
        administrator.begin_lame_duck_because("an administrator".into());
        administrator.request_exit("an administrator");
    });
    let (report, took) = run(shutdown).await;
    assert_near(took, 20.0);
    assert!(report.is_complete());
    assert_eq!((report.cut, handle.phase()), (0, Phase::Drained));
}

#[tokio::test(start_paused = true)]
async fn sigint_after_a_trigger_cuts() {
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let (report, took) = run(hearing(&handle, &[(2.0, Int)]).trigger(after(0.0))).await;
    assert_near(took, 2.0);
    assert_eq!((report.cut, report.reason), (1, "test".into()));
}

/// More than the 30 years at which tokio's clock ends.
const AGES: f64 = 1e9;

#[tokio::test(start_paused = true)]
async fn a_phase_without_a_limit_ends_by_a_signal_alone() {
    let endless = || Timeouts::default().platform(Duration::MAX);
    let handle = DrainHandle::new();
    let shutdown =
        hearing(&handle, &[(0.0, Term), (AGES, Int)]).timeouts(endless().lame_duck(Duration::MAX));
    let (report, _) = run(shutdown).await;
    assert_near(report.phases.lame_duck.as_secs_f64(), AGES);

    let handle = DrainHandle::new();
    let shutdown = hearing(&handle, &[(0.0, Int), (AGES, Int)])
        .timeouts(endless())
        .on_drained("hangs", Duration::MAX, hang);
    let (report, took) = run(shutdown).await;
    assert_near(took, AGES);
    assert_eq!(report.hooks[0].outcome, HookOutcome::Unfinished);
}
