//! The order of the steps and their clocks.

use std::future::pending;
use std::time::Duration;

use tower_drain::{
    BoxError, DrainHandle, DrainReason, HookOutcome, Phase, Shutdown, ShutdownReport, StopAccepting,
};

use crate::shutdown_support::{after, s, server, timeouts, work, Timeline};

/// A trigger at 1 s and a request until 9 s.
async fn shut_down(stop_accepting: StopAccepting) -> (Timeline, ShutdownReport) {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    timeline.watch_handle(&handle);
    work(&handle, 9.0);
    let (began, drained) = (timeline.clone(), timeline.clone());
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .stop_accepting(stop_accepting)
        .trigger(after(1.0))
        .on_begin("begin", s(1.0), move |status| async move {
            assert_eq!((status.phase, status.in_flight), (Phase::LameDuck, 1));
            began.mark("on_begin");
            Ok(())
        })
        .on_cut("cut", s(1.0), |_| async { unreachable!("nothing is cut") })
        .on_drained("drained", s(1.0), move |report| async move {
            assert!(report.is_complete());
            drained.mark("on_drained");
            Ok(())
        });
    let report = shutdown
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    (timeline, report)
}

#[tokio::test(start_paused = true)]
async fn by_default_the_socket_closes_then_the_server_stops_then_requests_are_rejected() {
    let (timeline, report) = shut_down(StopAccepting::AtDrain).await;
    timeline.assert(&[
        ("lame duck", 1.0),
        ("on_begin", 1.0),
        ("accept closed", 6.0),
        ("stop", 6.5),
        ("reject", 7.0),
        ("server returned", 9.0),
        ("on_drained", 9.0),
    ]);
    timeline.assert_now(9.0);
    assert!(report.is_complete());
    assert_eq!(report.reason, DrainReason::Other("test".into()));
    assert_eq!((report.in_flight, report.cut, report.unflushed), (1, 0, 0));
    let outcomes: Vec<_> = report.hooks.iter().map(|hook| &hook.outcome).collect();
    assert_eq!(
        outcomes,
        [
            &HookOutcome::Done,
            &HookOutcome::Skipped,
            &HookOutcome::Done
        ]
    );
    let phases = &report.phases;
    let near = |is: Duration, expected: f64| (is.as_secs_f64() - expected).abs() < 0.02;
    assert!(near(phases.lame_duck, 5.0) && near(phases.settle, 1.0) && near(phases.drain, 2.0));
    assert!(near(report.took, 8.0) && phases.cut.is_zero(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn at_lame_duck_closes_the_socket_first_of_all() {
    let (timeline, report) = shut_down(StopAccepting::AtLameDuck).await;
    timeline.assert(&[
        ("accept closed", 1.0),
        ("lame duck", 1.0),
        ("stop", 6.5),
        ("reject", 7.0),
    ]);
    timeline.assert_now(9.0);
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn after_drain_rejects_first_and_closes_the_socket_last() {
    let (timeline, report) = shut_down(StopAccepting::AfterDrain).await;
    timeline.assert(&[
        ("lame duck", 1.0),
        ("reject", 6.0),
        ("accept closed", 9.0),
        ("stop", 9.5),
        ("on_drained", 9.5),
    ]);
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn the_drain_has_all_its_time_from_the_begin_of_rejecting() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    // 60 s after the begin of rejecting, less a little, and long after 60 s from the trigger.
    work(&handle, 65.9);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert!(report.is_complete());
    timeline.assert_now(65.9);
}

#[tokio::test(start_paused = true)]
async fn requests_are_admitted_until_rejecting_begins() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let late = handle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(s(5.9)).await;
        work(&late, 3.0);
        tokio::time::sleep(s(0.2)).await;
        assert!(late.track(pending::<()>()).is_err());
    });
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert!(report.is_complete());
    timeline.assert_now(8.9);
}

#[tokio::test(start_paused = true)]
async fn of_several_triggers_the_first_gives_the_reason() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let report = Shutdown::new(handle.clone())
        .trigger(async {
            tokio::time::sleep(s(2.0)).await;
            "second".into()
        })
        .trigger(async {
            tokio::time::sleep(s(1.0)).await;
            "first".into()
        })
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    assert_eq!(report.reason, "first".into());
    assert_eq!(handle.reason(), Some("first".into()));
    timeline.assert_now(7.0);
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_was_requested_before_the_server_runs_is_not_lost() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let shutdown = Shutdown::new(handle.clone());
    assert!(handle.request_exit("an operator"));
    assert!(!handle.request_exit("another"));
    assert_eq!(handle.phase(), Phase::Serving);
    let report = shutdown
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert_eq!(report.reason, "an operator".into());
    timeline.assert_now(6.0);
}

#[tokio::test(start_paused = true)]
async fn servers_beside_are_told_after_on_drained_and_dropped_a_second_later() {
    struct MarksDrop(Timeline);
    impl Drop for MarksDrop {
        fn drop(&mut self) {
            self.0.mark("beside dropped");
        }
    }

    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let (drained, told, quick) = (timeline.clone(), timeline.clone(), timeline.clone());
    Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_drained("drained", s(5.0), move |_| async move {
            tokio::time::sleep(s(2.0)).await;
            drained.mark("on_drained over");
            Ok(())
        })
        .beside(move |until_exit| async move {
            let _marks = MarksDrop(told.clone());
            until_exit.await;
            told.mark("told");
            pending::<Result<(), BoxError>>().await
        })
        .beside(move |until_exit| async move {
            until_exit.await;
            quick.mark("quick");
            Ok::<_, std::io::Error>(())
        })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[("on_drained over", 8.0), ("told", 8.0), ("quick", 8.0)]);
    timeline.assert_now(9.0);
    tokio::task::yield_now().await;
    timeline.assert(&[("beside dropped", 9.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_beside_that_fails_ends_nothing() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let report = Shutdown::new(handle.clone())
        .trigger(after(1.0))
        .beside(|_| async { Err::<(), _>("address in use") })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert!(report.is_complete());
    timeline.assert_now(7.0);
}
