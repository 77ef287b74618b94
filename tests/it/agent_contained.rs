//! What a probe or a beat leaves behind panics, and the watchdog and the heartbeat go on.

use std::future::{pending, Future};
use std::panic::panic_any;
use std::time::Duration;

use tokio::time::timeout;
use tower_drain::{BoxError, DrainHandle, DrainReason, Heartbeat, Phase, Watchdog};

use crate::agent_support::{s, Calls};
use crate::contained_support::{Bomb, DropPanics, Ill};

/// What the watchdog said last, after two failures.
async fn lost<P, T>(probe: P) -> String
where
    P: FnMut() -> T,
    T: Future<Output = Result<(), BoxError>>,
{
    let watchdog = timeout(s(60.0), Watchdog::new(probe));
    match watchdog.await.expect("two probes fail") {
        DrainReason::ConnectivityLost {
            failures: 2,
            last_error,
        } => last_error,
        other => panic!("another reason: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_by_an_error_that_panics_has_failed() {
    for ill in Ill::ALL {
        let said = lost(|| async move { Err(ill.error()) }).await;
        assert_eq!(said, ill.words(), "{ill:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_with_what_panics_in_its_drop_has_failed() {
    assert_eq!(
        lost(|| async { panic_any(Bomb) }).await,
        "panicked: (no message)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_when_it_is_dropped_has_failed() {
    let hangs = lost(|| DropPanics(None)).await;
    assert_eq!(hangs, "no answer within 5 s");
    let fails = lost(|| DropPanics(Some(Err("refused".into())))).await;
    assert_eq!(fails, "refused");
    let succeeds = lost(|| DropPanics(Some(Ok(())))).await;
    assert_eq!(
        succeeds,
        "panicked: a future that panics when it is dropped"
    );
}

async fn beats_on<F, T>(beat: F)
where
    F: Fn() -> T + Clone,
    T: Future<Output = Result<(), BoxError>>,
{
    let (handle, calls) = (DrainHandle::new(), Calls::new());
    let counted = calls.clone();
    let beating = Heartbeat::every(s(10.0), move |_| {
        drop(counted.begin());
        beat()
    });
    let ended = timeout(s(25.0), beating.run(&handle)).await;
    assert!(ended.is_err());
    assert_eq!(calls.began(), [0.0, 10.0, 20.0]);
}

#[tokio::test(start_paused = true)]
async fn a_beat_that_leaves_something_behind_that_panics_does_not_stop_the_heartbeat() {
    for ill in Ill::ALL {
        beats_on(|| async move { Err(ill.error()) }).await;
    }
    beats_on(|| async { panic_any(Bomb) }).await;
    beats_on(|| DropPanics(Some(Ok(())))).await;
    beats_on(|| DropPanics(Some(Err("refused".into())))).await;
}

#[tokio::test(start_paused = true)]
async fn a_beat_that_panics_when_the_end_drops_it_does_not_undo_the_end() {
    let handle = DrainHandle::new();
    let beating = Heartbeat::every(s(10.0), |_| DropPanics::<()>(None)).until(Phase::LameDuck);
    let beating = beating.run(&handle);
    let leaves = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.begin_lame_duck();
    };
    let both = timeout(s(5.0), async { tokio::join!(beating, leaves) });
    assert!(both.await.is_ok());
}

/// Answers after some turns of the runtime, for each of which a timer is waited for.
async fn answers_after(turns: u32) -> Result<(), BoxError> {
    for _ in 0..turns {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Stands still for `absence` in the probe that is on, over and over: as long as that is on, no answer is taken.
async fn stands_still(absence: Duration, times: u32) {
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(2)).await;
        std::thread::sleep(absence);
    }
}

#[tokio::test]
async fn a_time_in_which_this_process_stood_still_is_not_the_backends_silence() {
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let watchdog = Watchdog::new(move || {
        let answered = answered.clone();
        async move {
            answers_after(4).await?;
            answered.send(())?;
            Ok(())
        }
    });
    let watchdog = watchdog.timeout(Duration::from_millis(150)).threshold(1);
    tokio::spawn(stands_still(Duration::from_millis(400), 2));
    tokio::select! {
        reason = watchdog => panic!("not lost, but out of sight: {reason}"),
        answer = answers.recv() => answer.expect("an answer"),
    }
}

#[tokio::test]
async fn a_backend_that_is_silent_is_lost_however_often_this_process_stands_still() {
    let watchdog = Watchdog::new(pending::<Result<(), BoxError>>);
    let watchdog = watchdog.timeout(Duration::from_millis(20)).threshold(1);
    let standing = tokio::spawn(stands_still(Duration::from_millis(60), u32::MAX));
    let reason = timeout(s(20.0), watchdog).await.expect("it is lost");
    standing.abort();
    assert!(reason.to_string().contains("no answer within 0.02 s"));
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_that_jumps_is_no_absence() {
    let watchdog = Watchdog::new(pending::<Result<(), BoxError>>).threshold(1);
    let mut watchdog = tokio_test::task::spawn(watchdog);
    tokio_test::assert_pending!(watchdog.poll());
    tokio::time::advance(s(500.0)).await;
    tokio_test::assert_ready!(watchdog.poll());
}
