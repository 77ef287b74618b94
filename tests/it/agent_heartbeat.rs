//! When a heartbeat beats, and when it ends.

use std::future::{pending, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{advance, sleep};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{BoxError, DrainHandle, DrainStatus, Heartbeat, Phase};

use crate::agent_support::{s, Calls};

/// Beats that take so long.
fn taking(calls: &Calls, seconds: f64) -> impl FnMut(DrainStatus) -> Beat {
    let calls = calls.clone();
    move |_| {
        let (_, call) = calls.begin();
        Box::pin(async move {
            let _call = call;
            sleep(s(seconds)).await;
        })
    }
}

type Beat = Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test(start_paused = true)]
async fn it_beats_at_once_and_then_at_every_period() {
    let (handle, beats) = (DrainHandle::new(), Calls::new());
    let beating = Heartbeat::every(s(10.0), taking(&beats, 1.0)).run(&handle);
    assert!(tokio::time::timeout(s(35.0), beating).await.is_err());
    assert_eq!(beats.began(), [0.0, 10.0, 20.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_beat_delays_only_the_next_and_beats_never_overlap_nor_burst() {
    let (handle, beats) = (DrainHandle::new(), Calls::new());
    let mut slow_once = Some(37.0);
    let inner = beats.clone();
    let beating = Heartbeat::every(s(10.0), move |_| {
        let (_, call) = inner.begin();
        let seconds = slow_once.take().unwrap_or(0.5);
        async move {
            let _call = call;
            sleep(s(seconds)).await;
        }
    });
    let ended = tokio::time::timeout(s(55.0), beating.run(&handle)).await;
    assert!(ended.is_err());
    assert_eq!(beats.began(), [0.0, 37.0, 40.0, 50.0]);
    assert_eq!(beats.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_while_the_work_waits_and_tells_the_status_of_each_moment() {
    let handle = DrainHandle::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_beat = seen.clone();
    let heartbeat = Heartbeat::every(s(1.0), move |status: DrainStatus| {
        let seen = seen_by_beat.clone();
        async move {
            let seen_now = (status.phase, status.in_flight);
            seen.lock().unwrap().push(seen_now);
        }
    });
    let beating = tokio::spawn(heartbeat.run(&handle));
    // A worker that takes nothing more, because what it has does not end.
    let (send, _full) = tokio::sync::mpsc::channel(1);
    let guard = handle.try_guard().unwrap();
    let work = tokio::spawn(async move {
        for operation in 0.. {
            let _ = send.send(operation).await;
        }
    });
    sleep(s(2.5)).await;
    assert!(!work.is_finished());
    handle.begin_lame_duck();
    sleep(s(1.0)).await;
    handle.begin_shutdown();
    sleep(s(1.0)).await;
    drop(guard);
    tokio::time::timeout(s(0.1), beating)
        .await
        .expect("drained")
        .unwrap();
    let expected = [
        (Phase::Serving, 1),
        (Phase::Serving, 1),
        (Phase::Serving, 1),
        (Phase::LameDuck, 1),
        (Phase::Draining, 1),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    work.abort();
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_its_phase_at_once_and_drops_the_beat_that_is_on() {
    for until in [Phase::LameDuck, Phase::Draining, Phase::Drained] {
        let (handle, beats) = (DrainHandle::new(), Calls::new());
        let inner = beats.clone();
        let hanging = Heartbeat::every(s(1.0), move |_| {
            let (_, call) = inner.begin();
            async move {
                let _call = call;
                pending::<()>().await;
            }
        });
        let mut beating = spawn(hanging.until(until).run(&handle));
        let guard = handle.try_guard().unwrap();
        assert_pending!(beating.poll());
        handle.begin_lame_duck();
        if until > Phase::LameDuck {
            assert_pending!(beating.poll());
            handle.begin_shutdown();
        }
        if until > Phase::Draining {
            assert_pending!(beating.poll());
            assert_eq!(beats.on(), 1);
            drop(guard);
        }
        assert!(beating.is_woken(), "{until}");
        assert_ready!(beating.poll());
        assert_eq!((beats.on(), beats.began().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn one_whose_phase_is_reached_already_never_beats() {
    let (handle, beats) = (DrainHandle::new(), Calls::new());
    handle.begin_lame_duck();
    let heartbeat = Heartbeat::every(s(1.0), taking(&beats, 0.0)).until(Phase::LameDuck);
    assert_ready!(spawn(heartbeat.run(&handle)).poll());
    assert!(beats.began().is_empty());
}

#[tokio::test(start_paused = true)]
async fn beats_that_fail_or_panic_do_not_stop_it() {
    let (handle, beats) = (DrainHandle::new(), Calls::new());
    let inner = beats.clone();
    let heartbeat = Heartbeat::every(s(1.0), move |_| {
        let (beat, _) = inner.begin();
        assert_ne!(beat, 1, "before there is a future");
        async move {
            match beat {
                0 => panic!("in the future"),
                2 => Err(BoxError::from("refused")),
                _ => Ok(()),
            }
        }
    });
    let ended = tokio::time::timeout(s(3.5), heartbeat.run(&handle)).await;
    assert!(ended.is_err());
    assert_eq!(beats.began(), [0.0, 1.0, 2.0, 3.0]);
}

#[tokio::test(start_paused = true)]
async fn a_resume_lets_one_that_waits_for_a_later_phase_go_on() {
    let (handle, beats) = (DrainHandle::new(), Calls::new());
    let heartbeat = Heartbeat::every(s(1.0), taking(&beats, 0.0)).until(Phase::Draining);
    let mut beating = spawn(heartbeat.run(&handle));
    assert_pending!(beating.poll());
    let nonce = handle
        .begin_lame_duck_because("maintenance".into())
        .unwrap();
    assert_pending!(beating.poll());
    handle.resume(nonce).unwrap();
    assert_pending!(beating.poll());
    advance(s(1.1)).await;
    assert!(beating.is_woken());
    assert_pending!(beating.poll());
    assert_eq!(beats.began().len(), 2);
    handle.begin_shutdown();
    assert_ready!(beating.poll());
}

#[test]
fn it_is_made_outside_a_runtime_of_closures_of_either_kind_and_goes_to_other_threads() {
    fn sent<T: Future<Output = ()> + Send + 'static>(_: T) {}
    let handle = DrainHandle::new();
    let post = || async { Err::<(), std::io::Error>(std::io::ErrorKind::Other.into()) };
    let fallible = Heartbeat::every(s(1.0), move |_| async move {
        post().await?;
        Ok(())
    });
    assert!(format!("{fallible:?}").contains("until: Drained"));
    sent(fallible.until(Phase::LameDuck).run(&handle));
    sent(Heartbeat::every(s(1.0), |status| async move { drop(status) }).run(&handle));
}

#[test]
#[should_panic(expected = "a heartbeat's period must be above 0 s")]
fn a_period_of_zero_is_refused() {
    drop(Heartbeat::every(Duration::ZERO, |_| async {}));
}
