//! What does not end in time.

use std::future::pending;
use std::process::{ExitCode, Termination};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_drain::{
    BoxError, Cut, DrainHandle, Phase, Shutdown, ShutdownReport, StopAccepting, StragglerPhase,
};

use crate::shutdown_support::{after, s, server, timeouts, work, Timeline};

type Seen = Arc<Mutex<Option<Cut>>>;

fn seeing(seen: &Seen) -> impl FnOnce(Cut) -> std::future::Ready<Result<(), BoxError>> {
    let seen = seen.clone();
    move |cut| {
        *seen.lock().unwrap() = Some(cut);
        std::future::ready(Ok(()))
    }
}

#[track_caller]
fn assert_exit(report: &ShutdownReport, is_complete: bool) {
    assert_eq!(report.is_complete(), is_complete, "{report}");
    let code = match is_complete {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    assert_eq!(report.exit_code(), code);
    assert_eq!(report.clone().report(), code);
    assert_eq!(report.exit_code_when_cut(0), ExitCode::SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_after_the_drain_is_cut_and_on_cut_is_told_who() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let seen = Seen::default();
    work(&handle, 1000.0);
    work(&handle, 1000.0);
    work(&handle, 30.0);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .on_cut("save", s(1.0), seeing(&seen))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(66.0);
    let cut = seen.lock().unwrap().take().unwrap();
    assert_eq!((cut.ended.len(), cut.still_held.len()), (2, 0));
    assert!(cut
        .ended
        .iter()
        .all(|ended| ended.phase == StragglerPhase::Handler));
    assert_eq!((report.in_flight, report.cut), (3, 2));
    assert!(report.still_held.is_empty());
    assert_eq!(handle.phase(), Phase::Drained);
    assert_exit(&report, false);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_let_go_of_in_the_closing_is_no_loss() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let seen = Seen::default();
    let guard = handle.try_guard_as("a job").unwrap();
    tokio::spawn(async move {
        guard.cut().await;
        tokio::time::sleep(s(3.0)).await;
    });
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .on_cut("save", s(1.0), seeing(&seen))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(69.0);
    let cut = seen.lock().unwrap().take().unwrap();
    assert_eq!((cut.ended.len(), cut.still_held.len()), (0, 1));
    assert_eq!(cut.still_held[0].label.as_deref(), Some("a job"));
    assert_exit(&report, true);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_kept_is_in_the_report_and_stalls_nothing() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let _guard = handle.try_guard_as("a job").unwrap();
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| async move {
            stop.await;
            Ok::<_, BoxError>(())
        })
        .await
        .unwrap();
    timeline.assert_now(76.0);
    assert_eq!(report.still_held.len(), 1);
    assert_eq!((report.cut, report.unflushed), (0, 0));
    assert!(report.to_string().contains("still held  a job, guard"));
    assert_exit(&report, false);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_return_is_dropped_at_the_end_of_the_closing() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let drained = timeline.clone();
    let report = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_drained("drained", s(1.0), move |report| async move {
            assert_eq!(report.unflushed, 1);
            drained.mark("on_drained");
            Ok(())
        })
        .run(|_stop| pending::<Result<(), BoxError>>())
        .await
        .unwrap();
    timeline.assert(&[("on_drained", 16.0)]);
    assert_eq!(report.unflushed, 1);
    assert_exit(&report, false);
}

#[tokio::test(start_paused = true)]
async fn the_worst_case_is_the_sum_of_the_timeouts() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    let hang = || async { pending().await };
    Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .on_cut("a", s(3.0), move |_| hang())
        .on_cut("b", s(4.0), move |_| hang())
        .on_drained("c", s(1.0), move |_| hang())
        .on_drained("d", s(2.0), move |_| hang())
        .beside(|_| pending::<Result<(), BoxError>>())
        .run(|_stop| pending::<Result<(), BoxError>>())
        .await
        .unwrap();
    timeline.assert_now(5.0 + 1.0 + 60.0 + 4.0 + 10.0 + 3.0 + 1.0);
}

#[tokio::test(start_paused = true)]
async fn after_drain_closes_the_socket_after_the_cut() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    timeline.watch_handle(&handle);
    work(&handle, 1000.0);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .stop_accepting(StopAccepting::AfterDrain)
        .trigger(after(0.0))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[("reject", 5.0), ("accept closed", 65.0), ("stop", 65.0)]);
    assert_eq!(report.cut, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cut_by_hand_is_in_the_report() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let cutter = handle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(s(10.0)).await;
        assert_eq!(cutter.cut(), 1);
    });
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(10.0);
    assert_eq!(report.cut, 1);
    assert_exit(&report, false);
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_zero_cut_at_once() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let zero = Duration::ZERO;
    let timeouts = timeouts()
        .lame_duck(zero)
        .settle(zero)
        .drain(zero)
        .close(zero);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts)
        .trigger(after(0.0))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(0.0);
    assert_eq!(report.cut, 1);
}

/// One request is cut by hand while it drains, and a guard outlives the drain. It ends during the close, so that nothing
/// but the cut is left to tell.
#[tokio::test(start_paused = true)]
async fn what_was_cut_by_hand_is_in_the_report_of_a_drain_that_times_out() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    work(&handle, 1000.0);
    let by_hand = handle.clone();
    tokio::spawn(async move {
        by_hand.draining().await;
        tokio::time::sleep(s(1.0)).await;
        assert_eq!(by_hand.cut(), 1);
        guard.cut().await;
        tokio::time::sleep(s(61.0)).await;
        drop(guard);
    });
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle.clone(), Timeline::new()))
        .await
        .unwrap();
    assert_eq!(report.cut, 1);
    assert_exit(&report, false);
}
