//! What hooks, triggers and servers leave behind panics, and the sequence goes on.

use std::panic::panic_any;

use tokio::time::timeout;
use tower_drain::{BoxError, DrainHandle, DrainReason, HookOutcome, Shutdown, ShutdownReport};

use crate::contained_support::{Bomb, DropPanics, Ill};
use crate::shutdown_support::{after, s, server, timeouts, work, Timeline};

async fn run(shutdown: Shutdown, handle: DrainHandle) -> ShutdownReport {
    let run = shutdown
        .timeouts(timeouts())
        .run(|stop| server(stop, handle, Timeline::new()));
    let report = timeout(s(1000.0), run).await.expect("the sequence ends");
    report.unwrap()
}

fn outcomes(report: &ShutdownReport) -> Vec<HookOutcome> {
    let outcomes = report.hooks.iter().map(|hook| hook.outcome.clone());
    outcomes.collect()
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_by_an_error_that_panics_has_failed_and_stalls_nothing() {
    for ill in Ill::ALL {
        let handle = DrainHandle::new();
        work(&handle, 100.0);
        let shutdown = Shutdown::new(handle.clone())
            .trigger(after(0.0))
            .on_begin("begin", s(1.0), move |_| async move { Err(ill.error()) })
            .on_cut("cut", s(1.0), move |_| async move { Err(ill.error()) })
            .on_drained("drained", s(1.0), move |_| async move { Err(ill.error()) })
            .on_drained("last", s(1.0), |_| async { Ok(()) });
        let report = run(shutdown, handle).await;
        let failed = HookOutcome::Failed(ill.words().into());
        let expected = [failed.clone(), failed.clone(), failed, HookOutcome::Done];
        assert_eq!(outcomes(&report), expected, "{ill:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_with_what_panics_in_its_drop_has_panicked_and_stalls_nothing() {
    let handle = DrainHandle::new();
    work(&handle, 100.0);
    let shutdown = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin("begin", s(1.0), |_| async { panic_any(Bomb) })
        .on_cut("cut", s(1.0), |_| async { panic_any(Bomb) })
        .on_drained("drained", s(1.0), |_| async { panic_any(Bomb) })
        .on_drained("last", s(1.0), |_| async { Ok(()) });
    let report = run(shutdown, handle).await;
    let panicked = HookOutcome::Panicked("(no message)".into());
    let expected = [
        panicked.clone(),
        panicked.clone(),
        panicked,
        HookOutcome::Done,
    ];
    assert_eq!(outcomes(&report), expected);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_when_its_bound_drops_it_has_timed_out_and_stalls_nothing() {
    let handle = DrainHandle::new();
    work(&handle, 100.0);
    let shutdown = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin("begin", s(1.0), |_| DropPanics(None))
        .on_cut("cut", s(1.0), |_| DropPanics(None))
        .on_drained("drained", s(1.0), |_| DropPanics(None))
        .on_drained("last", s(1.0), |_| async { Ok(()) });
    let report = run(shutdown, handle).await;
    let expected = [
        HookOutcome::TimedOut,
        HookOutcome::TimedOut,
        HookOutcome::TimedOut,
        HookOutcome::Done,
    ];
    assert_eq!(outcomes(&report), expected);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_runs_and_panics_when_it_is_dropped_costs_no_report() {
    let (handle, bomb) = (DrainHandle::new(), Bomb);
    let shutdown = Shutdown::new(handle.clone()).trigger(after(0.0)).on_cut(
        "cut",
        s(1.0),
        move |_| async move {
            drop(bomb);
            Ok(())
        },
    );
    let report = run(shutdown, handle).await;
    assert_eq!(outcomes(&report), [HookOutcome::Skipped]);
}

#[tokio::test(start_paused = true)]
async fn triggers_that_panic_when_they_are_dropped_take_nothing_with_them() {
    let handle = DrainHandle::new();
    let shutdown = Shutdown::new(handle.clone())
        .trigger(DropPanics(None))
        .trigger(DropPanics(Some(DrainReason::from("test"))))
        .trigger(DropPanics(None));
    let report = run(shutdown, handle).await;
    assert_eq!(report.reason, DrainReason::from("test"));

    // Here they are dropped at the end of the run.
    let shutdown = Shutdown::new(DrainHandle::new())
        .trigger(DropPanics(None))
        .trigger(DropPanics(None));
    let report = shutdown.run(|_| async { Ok::<_, BoxError>(()) }).await;
    assert!(report.unwrap().is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_server_beside_that_leaves_something_behind_that_panics_costs_no_report() {
    let handle = DrainHandle::new();
    let mut shutdown = Shutdown::new(handle.clone()).trigger(after(0.0));
    for ill in Ill::ALL {
        shutdown = shutdown.beside(move |_| async move { Err::<(), _>(ill.error()) });
    }
    let shutdown = shutdown
        .beside(|_| async { panic_any(Bomb) as Result<(), BoxError> })
        .beside(|_| DropPanics::<Result<(), BoxError>>(None));
    assert!(run(shutdown, handle).await.is_complete());
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_error_is_returned_though_it_cannot_be_told() {
    for ill in [
        Ill::NoWords,
        Ill::DisplayPanics,
        Ill::SourcePanics,
        Ill::Circle,
    ] {
        let run =
            Shutdown::new(DrainHandle::new()).run(|_| async move { Err::<(), _>(ill.error()) });
        let error = run.await.expect_err("the server's error");
        assert!(error.is::<Ill>(), "{ill:?}");
    }
}

#[cfg(feature = "agent")]
#[tokio::test(start_paused = true)]
async fn a_watchdog_whose_probe_panics_in_every_way_ends_the_process_in_order() {
    use tower_drain::Watchdog;

    let handle = DrainHandle::new();
    work(&handle, 30.0);
    let mut ill = Ill::ALL.into_iter().cycle();
    let watchdog = Watchdog::new(move || {
        let error = ill.next().map(|ill| Err(ill.error()));
        DropPanics(error)
    });
    let shutdown = Shutdown::new(handle.clone()).trigger(watchdog.threshold(5));
    let report = run(shutdown, handle).await;
    let reason = report.reason.to_string();
    assert_eq!(reason, "connectivity lost after 5 failures: refused");
    assert_eq!(report.cut, 0);
}
