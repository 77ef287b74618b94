//! A drain with a time to live lifts itself.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::time::{advance, sleep, timeout, Instant};
use tower_drain::{DrainError, DrainHandle, DrainLayer, Phase, DEFAULT_TTL};

use crate::admin_support::{admin, post, said};
use crate::sockets_support::{within, LONG};
use crate::support::App;

const MS: Duration = Duration::from_millis(1);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How many tasks run in this runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

async fn lifted_after(handle: &DrainHandle, from: Instant) -> Duration {
    loop {
        let changed = handle.changed();
        if handle.phase() == Phase::Serving {
            return from.elapsed();
        }
        changed.await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_lifts_itself_at_its_deadline_and_not_before() {
    for (body, ttl) in [
        (r#"{"ttl_s":60}"#, s(60)),
        (r#"{"ttl_s":0.25}"#, Duration::from_millis(250)),
        (r#"{"ttl_s":0.001}"#, MS),
        (r#"{"ttl_s":31536000}"#, s(365 * 24 * 3600)),
        ("", DEFAULT_TTL),
    ] {
        let handle = DrainHandle::new();
        let from = Instant::now();
        said(&admin(&handle), post("/drain", body)).nonce();
        advance(ttl - MS).await;
        assert_eq!(handle.phase(), Phase::LameDuck, "{body}");
        assert_eq!(within(lifted_after(&handle, from)).await, ttl, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_lifts_itself_from_every_phase_and_wakes_who_waits() {
    let app = App::new();
    let guard = app.handle.try_guard().unwrap();
    app.handle.begin_lame_duck_for(s(60), "a try".into());
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Draining);
    let waited = timeout(s(61), app.handle.wait_for_drain(Duration::MAX))
        .await
        .unwrap();
    assert_eq!(waited, Err(DrainError::Resumed));
    assert!(app.handle.try_guard().is_ok());

    drop(guard);
    app.handle.begin_lame_duck_for(s(60), "a try".into());
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Drained);
    timeout(s(61), app.handle.changed()).await.unwrap();
    assert_eq!(app.handle.phase(), Phase::Serving);
}

#[tokio::test(start_paused = true)]
async fn a_sealed_drain_does_not_lift_itself_and_its_timer_ends() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck_for(s(60), "a try".into());
    handle.seal();
    sleep(s(1)).await;
    assert_eq!(tasks(), 0);
    sleep(s(100)).await;
    assert_eq!(handle.phase(), Phase::LameDuck);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_taken_back_stops_its_timer_and_leaves_the_next_one_alone() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_for(s(60), "a try".into()).unwrap();
    assert_eq!(tasks(), 1);
    sleep(s(59)).await;
    handle.resume(nonce).unwrap();
    let next = handle.begin_lame_duck_because("the next".into());
    sleep(s(2)).await;
    assert_eq!((handle.phase(), handle.nonce()), (Phase::LameDuck, next));
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_timer_does_not_keep_what_the_handle_keeps() {
    let handle = DrainHandle::new();
    let layer = DrainLayer::from_handle(handle.clone());
    handle.begin_lame_duck_for(s(60), "a try".into());
    assert_eq!(tasks(), 1);
    drop((handle, layer));
    sleep(s(1)).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_drain_leaves_no_timer() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck();
    assert_eq!(handle.begin_lame_duck_for(s(1), "too late".into()), None);
    assert_eq!(said(&admin(&handle), post("/drain", "")).status, 409);
    sleep(s(2)).await;
    assert_eq!((tasks(), handle.phase()), (0, Phase::LameDuck));
}

#[tokio::test(start_paused = true)]
async fn max_is_no_limit() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck_for(Duration::MAX, "for ever".into());
    assert_eq!((tasks(), handle.status().lifts_in), (0, None));
    sleep(s(100_000_000)).await;
    assert_eq!(handle.phase(), Phase::LameDuck);
}

#[test]
fn outside_a_runtime_it_lifts_itself_too() {
    let handle = DrainHandle::new();
    let from = Instant::now();
    handle.begin_lame_duck_for(50 * MS, "a try".into()).unwrap();
    let (lifted, is_lifted) = mpsc::channel();
    thread::spawn(move || lifted.send(tokio_test::block_on(lifted_after(&handle, from))));
    assert!(is_lifted.recv_timeout(LONG).unwrap() >= 50 * MS);
}

#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

/// Its thread would otherwise sleep for a year.
#[cfg(target_os = "linux")]
#[test]
fn its_thread_ends_with_the_drain_the_seal_and_the_handle() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ends: [fn(DrainHandle); 3] = [
        |handle| handle.resume(handle.nonce().unwrap()).unwrap(),
        |handle| assert!(handle.seal()),
        drop,
    ];
    for end in ends {
        for entered in [None, Some(runtime.enter())] {
            let handle = DrainHandle::new();
            handle.begin_lame_duck_for(s(365 * 24 * 3600), "a try".into());
            drop(entered);
            end(handle);
        }
    }
    let from = Instant::now();
    while threads("tower-drain-ttl") > 0 {
        assert!(from.elapsed() < LONG);
        thread::sleep(MS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lifts_itself_in_a_runtime_of_several_threads() {
    let handle = DrainHandle::new();
    let from = Instant::now();
    handle.begin_lame_duck_for(20 * MS, "a try".into()).unwrap();
    assert!(within(lifted_after(&handle, from)).await >= 20 * MS);
}
