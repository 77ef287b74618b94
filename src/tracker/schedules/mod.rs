//! The layer, guards and waiters under random schedules of more threads and longer stories than loom can go through in
//! full. What depends on the order of memory is loom's: here every thread sees every write.
//!
//! `TOWER_DRAIN_SCHEDULES` says how many a story (25 000). A failure prints its schedule for `shuttle::replay`.

mod support;

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::sync::Barrier;
use shuttle::thread;
use tower_layer::Layer;

use self::support::{
    any_door, call, guard, random, request, seen, story, track, Alive, Inner, Seen,
};
use super::parked::Parked;
use super::Waiter;
use crate::{DrainError, DrainHandle, DrainLayer, DrainReason, Phase, WaitForDrain};

#[test]
fn whoever_sees_the_drain_ended_finds_nobody_at_work_under_any_schedule() {
    story(|| {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let alive = Alive::new();
        let inner = Inner {
            alive: alive.clone(),
            answers: true,
        };
        let service = layer.layer(inner);
        let mut threads = Vec::new();
        for _ in 0..2 {
            let service = service.clone();
            threads.push(thread::spawn(move || {
                for _ in 0..2 {
                    block_on(request(service.clone(), 1 + random(4)));
                }
            }));
        }
        let holds = (handle.clone(), alive.clone());
        threads.push(thread::spawn(move || {
            let (handle, alive) = holds;
            if let Some(first) = guard(&handle) {
                // Of a drain that a resume is about to leave it may still be said that it has ended.
                let from = handle.tracker().staged();
                // Dropped in this order, before their guards.
                let second = (alive.one(), first.clone());
                drop((alive.one(), first));
                thread::yield_now();
                let now = handle.tracker().staged();
                assert!(now.phase != Phase::Drained || now == from);
                drop(second);
            }
        }));
        let cuts = handle.clone();
        threads.push(thread::spawn(move || {
            cuts.cut();
        }));
        for _ in 0..2 {
            let nonce = handle.begin_shutdown_because(DrainReason::Requested);
            block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
            assert_eq!((alive.count(), handle.in_flight()), (0, 0));
            assert!(guard(&handle).is_none());
            handle.resume(nonce.unwrap()).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((alive.count(), handle.in_flight()), (0, 0));
        assert!(handle.stragglers().is_empty());
    });
}

/// Three requests that are never answered, a begin, and cuts, which cross the admissions or not.
fn cuts_beside_requests(crosses: bool) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let inner = Inner {
        alive: Alive::new(),
        answers: false,
    };
    let service = layer.layer(inner);
    let called = Arc::new(Barrier::new(if crosses { 3 } else { 4 }));
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let (service, called) = (service.clone(), called.clone());
            thread::spawn(move || {
                let answer = block_on(call(service));
                called.wait();
                block_on(seen(answer, usize::MAX))
            })
        })
        .collect();
    let ended = {
        let handle = handle.clone();
        thread::spawn(move || {
            if !crosses {
                called.wait();
            }
            handle.cut() + handle.cut()
        })
    };
    handle.begin_shutdown();
    let mut cut = ended.join().unwrap();
    // From here on nobody is admitted, so that this one comes to the rest.
    cut += handle.cut();
    let report = block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
    let seen: Vec<_> = requests
        .into_iter()
        .map(|request| request.join().unwrap())
        .collect();
    let count = |what| seen.iter().filter(|seen| **seen == what).count();
    assert_eq!(count(Seen::Cut) + count(Seen::Rejected), 3, "{seen:?}");
    match crosses {
        // A request crosses a cut once at most: that of the first batch.
        true => assert!((count(Seen::Cut)..=count(Seen::Cut) + 3).contains(&cut)),
        false => assert_eq!(count(Seen::Cut), cut, "{seen:?}"),
    }
    assert!(report.cut <= cut);
    assert_eq!(handle.status().rejected, count(Seen::Rejected) as u64);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn every_request_is_rejected_or_cut_and_counted_as_what_it_was_under_any_schedule() {
    story(|| cuts_beside_requests(false));
}

#[test]
fn every_request_that_crosses_a_cut_is_rejected_or_cut_and_counted_under_any_schedule() {
    story(|| cuts_beside_requests(true));
}

#[test]
fn nobody_who_waits_is_forgotten_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let held = guard(&handle).unwrap();
        let tracked = track(&handle, pending::<()>()).unwrap();
        let (leaving, draining) = (handle.leaving(), handle.draining());
        let changed = handle.changed();
        let drain = handle.wait_for_drain(Duration::MAX);
        let threads = [
            thread::spawn(move || block_on(leaving)),
            thread::spawn(move || block_on(draining)),
            thread::spawn(move || assert_ne!(block_on(changed), Phase::Serving)),
            thread::spawn(move || assert!(block_on(drain).is_ok())),
            thread::spawn(move || {
                block_on(held.cut());
                drop(held);
            }),
            thread::spawn(move || assert_eq!(block_on(tracked), None)),
        ];
        if random(2) == 0 {
            handle.begin_lame_duck();
        }
        handle.begin_shutdown();
        assert_eq!(handle.cut(), 1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(handle.phase(), Phase::Drained);
    });
}

/// Polls until it is ready, and now and then gives the future up for a new one.
async fn waits_anew(handle: &DrainHandle) -> Result<(), DrainError> {
    let mut waiting: Pin<Box<WaitForDrain>> = Box::pin(handle.wait_for_drain(Duration::MAX));
    loop {
        if let Poll::Ready(waited) = futures_util::poll!(&mut waiting) {
            return waited.map(drop);
        }
        if random(4) > 0 {
            return waiting.await.map(drop);
        }
        waiting = Box::pin(handle.wait_for_drain(Duration::MAX));
    }
}

#[test]
fn begins_resumes_and_cuts_beside_one_another_leave_phase_and_shards_agreed_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let mut threads = Vec::new();
        for _ in 0..2 {
            let handle = handle.clone();
            threads.push(thread::spawn(move || {
                for _ in 0..3 {
                    match random(4) {
                        0 => {
                            handle.begin_lame_duck();
                        }
                        1 => {
                            handle.begin_shutdown();
                        }
                        2 => {
                            handle.cut();
                        }
                        _ => {
                            if let Some(nonce) = handle.nonce() {
                                let _ = handle.resume(nonce);
                            }
                        }
                    }
                }
            }));
        }
        let waits = handle.clone();
        let waiter = thread::spawn(move || block_on(waits_anew(&waits)));
        let works = handle.clone();
        threads.push(thread::spawn(move || {
            for _ in 0..2 {
                let held = guard(&works);
                if let Some(tracked) = track(&works, yield_now()) {
                    block_on(tracked);
                }
                drop(held);
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        let is_open = handle.phase() < Phase::Draining;
        for door in handle.tracker().doors() {
            assert_eq!(door.admit().is_some(), is_open);
        }
        assert_eq!(handle.in_flight(), 0);
        handle.begin_shutdown();
        assert_eq!(handle.phase(), Phase::Drained);
        match waiter.join().unwrap() {
            Ok(()) | Err(DrainError::Resumed) => {}
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_begin_wakes_everybody_who_waits_for_readiness_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let waiter = Waiter::new(any_door(&handle).shard().clone());
                thread::spawn(move || block_on(Parked(waiter)))
            })
            .collect();
        handle.begin_shutdown();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
