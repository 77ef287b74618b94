//! Threads against each other, for a bounded number of turns and without a sleep.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Barrier;
use std::task::Poll;
use std::time::Duration;

use tokio_test::task::spawn;
use tower::{Layer, Service};
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::support::{answer, get, poll_ready, App, Handlers};

/// A cut request that is released leaves the count and the list of those already cut in two steps; another cut may
/// come between them.
#[test]
fn cuts_beside_releases_count_each_future_once() {
    const TURNS: usize = 20_000;
    let handle = DrainHandle::new();
    let start = Barrier::new(3);
    let ended = std::thread::scope(|scope| {
        let track = || {
            start.wait();
            for _ in 0..TURNS {
                let held = [(); 8].map(|()| handle.track(std::future::pending::<()>()).unwrap());
                drop(held);
            }
        };
        let tracking = [scope.spawn(track), scope.spawn(track)];
        start.wait();
        let mut ended = 0;
        while !tracking.iter().all(|thread| thread.is_finished()) {
            ended += handle.cut();
        }
        ended
    });
    assert!(ended <= 16 * TURNS, "{ended} cut of {}", 16 * TURNS);
    assert_eq!((handle.cut(), handle.in_flight()), (0, 0));
    assert_eq!(handle.phase(), Phase::Serving);
}

#[test]
fn of_many_who_begin_one_is_told_so() {
    for _ in 0..200 {
        let handle = DrainHandle::new();
        let start = Barrier::new(4);
        let told: Vec<_> = std::thread::scope(|scope| {
            let begin = || {
                start.wait();
                handle.begin_shutdown_because("a race".into())
            };
            let threads = [(); 4].map(|()| scope.spawn(begin));
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(told, [handle.nonce().unwrap()]);
    }
}

#[test]
fn when_begin_returns_false_every_later_request_is_rejected() {
    for _ in 0..300 {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut service = layer.layer(Handlers::default());
                    assert!(poll_ready(&mut service).is_ready());
                    start.wait();
                    handle.begin_shutdown();
                    assert_eq!(answer(&mut spawn(service.call(get("/")))).status(), 503);
                    assert!(handle.try_guard().is_err());
                });
            }
        });
        assert_eq!(handle.status().rejected, 4);
    }
}

/// The waiter looks while the last release happens: were the wake-up lost, this would hang.
#[test]
fn the_last_release_is_never_missed_by_a_waiter() {
    for _ in 0..1_000 {
        let handle = DrainHandle::new();
        let guard = handle.try_guard().unwrap();
        let tracked = handle.track(std::future::pending::<()>()).unwrap();
        handle.begin_shutdown();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(guard));
            scope.spawn(|| drop(tracked));
            tokio_test::block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
        });
    }
}

#[test]
fn once_a_waiter_has_seen_the_end_nobody_admitted_runs() {
    for _ in 0..100 {
        let handle = DrainHandle::new();
        let (start, running) = (Barrier::new(4), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    while let Ok(guard) = handle.try_guard() {
                        running.fetch_add(1, Relaxed);
                        running.fetch_sub(1, Relaxed);
                        drop(guard);
                    }
                });
            }
            start.wait();
            handle.begin_shutdown();
            tokio_test::block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
            assert_eq!((running.load(Relaxed), handle.in_flight()), (0, 0));
        });
    }
}

/// The last release and the end of the time at once: it is one or the other. With the clock paused, no time at all is
/// over at the first poll.
#[test]
fn a_timeout_never_says_that_nothing_is_in_flight() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    // Entered, not blocked on: a task would run out of its budget of polls.
    let _entered = runtime.enter();
    for _ in 0..200 {
        let handle = DrainHandle::new();
        let guard = handle.try_guard().unwrap();
        handle.begin_shutdown();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                drop(guard);
            });
            start.wait();
            while let Poll::Ready(Err(error)) = spawn(handle.wait_for_drain(Duration::ZERO)).poll()
            {
                assert!(!error.to_string().starts_with("0 still"), "{error}");
            }
        });
    }
}

/// More threads than there are shards, and each releases what another was admitted with.
#[test]
fn what_is_released_on_another_thread_leaves_the_count_exact() {
    let threads = 8 * std::thread::available_parallelism().map_or(1, usize::from) + 3;
    let handle = DrainHandle::new();
    let taken: Vec<_> = std::thread::scope(|scope| {
        let take = || {
            (0..50)
                .map(|_| handle.try_guard().unwrap())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(handle.in_flight(), 50 * threads);
    handle.begin_shutdown();
    std::thread::scope(|scope| {
        for guards in taken {
            scope.spawn(|| drop(guards));
        }
        tokio_test::block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
    });
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
}

#[test]
fn begins_resumes_cuts_and_requests_at_once_leave_nothing_in_flight() {
    const TURNS: usize = 2_000;
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let start = Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut app = App::of(layer.clone());
                start.wait();
                for _ in 0..TURNS {
                    let opened = app.send(get("/"));
                    let guard = app.handle.try_guard().ok();
                    let clone = guard.clone();
                    drop(opened);
                    drop((guard, clone));
                }
            });
        }
        scope.spawn(|| {
            start.wait();
            for _ in 0..TURNS {
                if let Some(nonce) = handle.begin_shutdown_because("a try".into()) {
                    // The lame duck of the other beginner may have been joined, and taken back by it.
                    let _ = handle.resume(nonce);
                }
            }
        });
        scope.spawn(|| {
            start.wait();
            for _ in 0..TURNS {
                if let Some(nonce) = handle.begin_lame_duck_because("a try".into()) {
                    let waiter = handle.wait_for_drain(Duration::MAX);
                    // Where the other beginner took it back, the waiter may be one for the next drain, and after the
                    // last turn there is none.
                    if handle.resume(nonce).is_ok() {
                        let _ = tokio_test::block_on(waiter);
                    }
                }
            }
        });
        start.wait();
        for _ in 0..TURNS {
            handle.cut();
            handle.stragglers();
            handle.status();
        }
    });
    assert_eq!(handle.in_flight(), 0);
    assert!(handle.stragglers().is_empty());
    handle.begin_shutdown();
    tokio_test::block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
    assert_eq!((handle.phase(), handle.cut()), (Phase::Drained, 0));
}
