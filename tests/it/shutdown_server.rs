//! Servers that end first or in an error, and drains that are on when the trigger comes.

use std::io;
use std::process::Termination;

use tower_drain::{
    BoxError, ConfigError, DrainHandle, HookOutcome, Phase, Shutdown, ShutdownReport, Timeouts,
};

use crate::shutdown_support::{after, s, server, timeouts, work, Timeline};

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "broken")
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_first_skips_on_begin_but_drains_and_runs_on_drained() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    timeline.watch_handle(&handle);
    work(&handle, 4.0);
    let drained = timeline.clone();
    let error = Shutdown::new(handle)
        .on_begin("begin", s(1.0), |_| async {
            unreachable!("the server ended first")
        })
        .on_drained("drained", s(1.0), move |report| async move {
            assert_eq!(report.hooks[0].outcome, HookOutcome::Skipped);
            assert_eq!(report.reason, "the server ended".into());
            drained.mark("on_drained");
            Ok(())
        })
        .run(|_| async {
            tokio::time::sleep(s(1.0)).await;
            Err::<(), _>(broken())
        })
        .await
        .unwrap_err();
    timeline.assert(&[("accept closed", 1.0), ("reject", 1.0), ("on_drained", 4.0)]);
    timeline.assert_now(4.0);
    let error = error
        .downcast::<io::Error>()
        .expect("the server's own error");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_first_without_an_error_makes_a_report() {
    let timeline = Timeline::new();
    let report = Shutdown::new(DrainHandle::new())
        .on_begin("begin", s(1.0), |_| async {
            unreachable!("the server ended first")
        })
        .on_drained("drained", s(1.0), |_| async { Ok(()) })
        .run(|_| async { Ok::<_, BoxError>(()) })
        .await
        .unwrap();
    timeline.assert_now(0.0);
    assert!(report.is_complete());
    assert_eq!(report.hooks[0].outcome, HookOutcome::Skipped);
    assert_eq!(report.hooks[1].outcome, HookOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_in_the_lame_duck_ends_it_and_its_error_is_returned_last() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    timeline.watch_handle(&handle);
    let drained = timeline.clone();
    let error = Shutdown::new(handle)
        .trigger(after(1.0))
        .on_drained("drained", s(5.0), move |_| async move {
            tokio::time::sleep(s(1.0)).await;
            drained.mark("on_drained over");
            Ok(())
        })
        .run(|_| async {
            tokio::time::sleep(s(3.0)).await;
            Err::<(), _>(broken())
        })
        .await
        .unwrap_err();
    timeline.assert(&[("reject", 3.0), ("on_drained over", 4.0)]);
    assert!(error.is::<io::Error>());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_while_draining_does_not_end_the_wait_for_what_was_admitted() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    work(&handle, 30.0);
    let error = Shutdown::new(handle)
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| async move {
            stop.await;
            tokio::time::sleep(s(10.0)).await;
            Err::<(), _>(broken())
        })
        .await
        .unwrap_err();
    timeline.assert_now(30.0);
    assert!(error.is::<io::Error>());
}

#[tokio::test]
async fn a_configuration_that_cannot_hold_is_an_error_before_the_server_is_made() {
    let shutdown = Shutdown::new(DrainHandle::new())
        .timeouts(Timeouts::default().drain(s(400.0)))
        .beside(|_| async { panic!("made all the same") as Result<(), BoxError> });
    assert!(matches!(shutdown.check(), Err(ConfigError::Budget { .. })));
    let run = shutdown.run(|_| async { panic!("made all the same") as Result<(), BoxError> });
    let error = run.await.unwrap_err();
    assert!(error.is::<ConfigError>(), "{error}");
}

#[test]
fn outside_a_runtime_the_check_says_so() {
    let shutdown = Shutdown::new(DrainHandle::new());
    let error = shutdown.check().unwrap_err();
    assert!(matches!(error, ConfigError::Signals { .. }));
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn maintenance_ends_no_process_and_a_trigger_joins_and_seals_it() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let nonce = handle
        .begin_lame_duck_because("maintenance".into())
        .unwrap();
    timeline.watch("reject", handle.draining());
    timeline.watch("accept closed", handle.accept_closed());
    let (administrator, marks) = (handle.clone(), timeline.clone());
    tokio::spawn(async move {
        tokio::time::sleep(s(21.0)).await;
        assert!(administrator.resume(nonce).unwrap_err().is_sealed());
        marks.mark("sealed");
    });
    let report = Shutdown::new(handle.clone())
        .trigger(after(20.0))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[("sealed", 21.0), ("accept closed", 25.0), ("reject", 26.0)]);
    assert_eq!(report.reason, "test".into());
    assert_eq!(handle.reason(), Some("maintenance".into()));
    assert_eq!(handle.nonce(), Some(nonce));
}

#[tokio::test(start_paused = true)]
async fn rejecting_by_hand_is_joined_without_a_lame_duck() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    handle.begin_shutdown();
    timeline.watch("accept closed", handle.accept_closed());
    Shutdown::new(handle.clone())
        .trigger(after(3.0))
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[("accept closed", 3.0), ("stop", 3.5)]);
    timeline.assert_now(4.0);
}

#[tokio::test(start_paused = true)]
async fn a_resume_before_the_trigger_does_not_lose_it() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let nonce = handle.begin_shutdown_because("maintenance".into()).unwrap();
    let administrator = handle.clone();
    let trigger = async move {
        tokio::time::sleep(s(3.0)).await;
        // In the same moment, just before the seal.
        administrator.resume(nonce).unwrap();
        assert_eq!(administrator.phase(), Phase::Serving);
        "deploy".into()
    };
    let report = Shutdown::new(handle.clone())
        .trigger(trigger)
        .run(|stop| server(stop, handle.clone(), timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(9.0);
    assert_eq!(report.reason, "deploy".into());
    assert_eq!(handle.reason(), Some("deploy".into()));
    assert_eq!(handle.phase(), Phase::Drained);
}

#[tokio::test(start_paused = true)]
async fn the_run_is_send_so_that_it_can_be_spawned_and_so_is_a_result_of_main() {
    fn ends_a_process<T: Termination>(_: &T) {}
    let handle = DrainHandle::new();
    let run = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, Timeline::new()));
    let result: Result<ShutdownReport, BoxError> = tokio::spawn(run).await.unwrap();
    ends_a_process(&result);
    result.unwrap();
}
