//! Models of the counting core: loom runs each under every interleaving, and every order that the memory model
//! allows, of two or three threads. Each is named after the invariant of `count` that it proves.

mod cuts;
mod phases;
mod resumes;
mod wakes;

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::{Admitted, Called, Held, Tracker};
use crate::{DrainNonce, DrainReason, Phase};

fn model(body: impl Fn(Arc<Tracker>) + Send + Sync + 'static) {
    loom::model(move || body(Tracker::with_shards(2)));
}

fn spawn<T: 'static>(
    tracker: &Arc<Tracker>,
    body: impl FnOnce(Arc<Tracker>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let tracker = tracker.clone();
    thread::spawn(move || body(tracker))
}

fn begin(tracker: &Tracker) -> Option<DrainNonce> {
    tracker.begin(DrainReason::Requested)
}

fn admit(tracker: &Tracker) -> Option<Admitted> {
    tracker.doors()[1].admit()
}

fn guard(tracker: &Tracker) -> Option<Held> {
    tracker.doors()[1].admit_guard(Called::Nothing)
}

fn phase(tracker: &Tracker) -> Phase {
    tracker.staged().phase
}

/// Begins a drain that these alone hold, and lets them end it.
fn drains<T>(tracker: &Tracker, held: impl IntoIterator<Item = T>) {
    let mut held: Vec<T> = held.into_iter().collect();
    begin(tracker);
    assert_eq!(tracker.in_flight(), held.len());
    while let Some(one) = held.pop() {
        assert_eq!(phase(tracker), Phase::Draining);
        drop(one);
    }
    assert_eq!(phase(tracker), Phase::Drained);
    assert_eq!(tracker.in_flight(), 0);
    assert!(admit(tracker).is_none());
}

#[test]
fn invariant_1_admission_and_closing_cannot_cross() {
    model(|tracker| {
        let running = Arc::new(AtomicBool::new(false));
        let request = {
            let running = running.clone();
            spawn(&tracker, move |tracker| {
                if let Some(admitted) = admit(&tracker) {
                    running.store(true, Relaxed);
                    running.store(false, Relaxed);
                    drop(admitted);
                }
            })
        };
        begin(&tracker);
        if phase(&tracker) == Phase::Drained {
            assert!(!running.load(Relaxed));
            assert!(admit(&tracker).is_none());
        }
        request.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_1_whom_another_lets_in_beside_a_close_holds_the_drain_too() {
    model(|tracker| {
        let other = admit(&tracker);
        let request = spawn(&tracker, |tracker| admit(&tracker));
        begin(&tracker);
        assert_eq!(phase(&tracker), Phase::Draining);
        assert!(admit(&tracker).is_none());
        let admitted = request.join().unwrap();
        assert_eq!(tracker.in_flight(), 1 + usize::from(admitted.is_some()));
        drop(other);
        let held = usize::from(admitted.is_some());
        assert_eq!(phase(&tracker) == Phase::Drained, held == 0);
        drop(admitted);
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_1_nobody_comes_into_the_count_when_the_close_has_returned() {
    model(|tracker| {
        let other = admit(&tracker);
        let request = spawn(&tracker, |tracker| admit(&tracker));
        begin(&tracker);
        let held = tracker.in_flight();
        let admitted = request.join().unwrap();
        assert!(1 + usize::from(admitted.is_some()) <= held);
        drop(other);
    });
}

#[test]
fn invariant_1_whoever_comes_while_the_last_one_leaves_a_closed_shard_is_counted_or_rejected() {
    model(|tracker| {
        let last = admit(&tracker);
        let leaves = thread::spawn(move || drop(last));
        let request = spawn(&tracker, |tracker| admit(&tracker));
        begin(&tracker);
        leaves.join().unwrap();
        let admitted = request.join().unwrap();
        let held = usize::from(admitted.is_some());
        assert_eq!(phase(&tracker) == Phase::Drained, held == 0);
        assert_eq!(tracker.in_flight(), held);
        drop(admitted);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_1_a_guard_and_closing_cannot_cross() {
    model(|tracker| {
        let guards = spawn(&tracker, |tracker| guard(&tracker));
        begin(&tracker);
        let held = guards.join().unwrap();
        assert_eq!(phase(&tracker) == Phase::Drained, held.is_none());
        assert_eq!(tracker.in_flight(), usize::from(held.is_some()));
        drop(held);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_1_whoever_sees_rejecting_is_rejected() {
    model(|tracker| {
        let held = admit(&tracker);
        let request = spawn(&tracker, |tracker| {
            if phase(&tracker) >= Phase::Draining {
                assert!(admit(&tracker).is_none());
                assert!(guard(&tracker).is_none());
            }
        });
        begin(&tracker);
        request.join().unwrap();
        drop(held);
    });
}

#[test]
fn invariant_2_a_rejection_is_never_in_the_count() {
    model(|tracker| {
        begin(&tracker);
        let rejected = spawn(&tracker, |tracker| {
            assert!(admit(&tracker).is_none());
        });
        assert_eq!(tracker.in_flight(), 0);
        rejected.join().unwrap();
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_3_a_guard_cloned_while_closing_holds_the_drain() {
    model(|tracker| {
        let held = guard(&tracker).unwrap();
        let clones = spawn(&tracker, move |tracker| {
            let clone = held.clone();
            drop(held);
            assert_ne!(phase(&tracker), Phase::Drained);
            drop(clone);
        });
        begin(&tracker);
        clones.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_3_a_guard_beside_a_request_holds_the_drain_after_it() {
    model(|tracker| {
        let admitted = admit(&tracker).unwrap();
        let request = spawn(&tracker, move |tracker| {
            let held = admitted.guard(Called::Nothing);
            drop(admitted);
            assert_ne!(phase(&tracker), Phase::Drained);
            drop(held);
        });
        begin(&tracker);
        request.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_4_of_two_last_releases_on_two_shards_one_ends_the_drain() {
    model(|tracker| {
        let first = tracker.doors()[0].admit();
        let second = admit(&tracker);
        begin(&tracker);
        let releases = thread::spawn(move || drop(first));
        drop(second);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_4_of_two_releases_on_one_shard_beside_begin_one_ends_the_drain() {
    model(|tracker| {
        let (first, second) = (admit(&tracker), admit(&tracker));
        let releases = [first, second].map(|one| thread::spawn(move || drop(one)));
        begin(&tracker);
        for release in releases {
            release.join().unwrap();
        }
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_4_a_release_beside_begin_ends_the_drain() {
    model(|tracker| {
        let admitted = admit(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        begin(&tracker);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_4_of_two_begins_one_closes_and_neither_returns_before() {
    model(|tracker| {
        let held = admit(&tracker);
        let other = spawn(&tracker, |tracker| {
            let nonce = begin(&tracker);
            assert!(admit(&tracker).is_none());
            nonce.is_some()
        });
        let began = begin(&tracker).is_some();
        assert!(admit(&tracker).is_none());
        assert_ne!(other.join().unwrap(), began);
        assert_eq!(phase(&tracker), Phase::Draining);
        drop(held);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_5_whoever_sees_the_drain_ended_sees_what_was_done_before_the_releases() {
    model(|tracker| {
        let done = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let requests = done.clone().map(|done| {
            let admitted = admit(&tracker);
            thread::spawn(move || {
                done.store(true, Relaxed);
                drop(admitted);
            })
        });
        begin(&tracker);
        if phase(&tracker) == Phase::Drained {
            assert!(done.iter().all(|done| done.load(Relaxed)));
        }
        for request in requests {
            request.join().unwrap();
        }
    });
}

#[test]
fn the_reference_of_the_tracker_is_never_in_flight() {
    model(|tracker| {
        let _held = admit(&tracker);
        let story = spawn(&tracker, |tracker| {
            let nonce = begin(&tracker).unwrap();
            tracker.cut();
            tracker.resume(nonce).unwrap();
            tracker.cut();
        });
        assert_eq!(tracker.in_flight(), 1);
        story.join().unwrap();
        assert_eq!(tracker.in_flight(), 1);
    });
}

#[test]
fn whoever_is_rejected_finds_that_the_phase_has_left_serving() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| {
            if admit(&tracker).is_none() {
                assert_ne!(phase(&tracker), Phase::Serving);
            }
        });
        begin(&tracker);
        request.join().unwrap();
    });
}

#[test]
fn a_tracker_that_goes_beside_an_admission_leaves_it_served() {
    model(|tracker| {
        let door = tracker.doors()[1].clone();
        let request = thread::spawn(move || {
            let (admitted, held) = (door.admit(), door.admit_guard(Called::Nothing));
            assert!(admitted.is_some_and(|admitted| !admitted.is_cut()));
            assert!(held.is_some_and(|held| !held.is_cut()));
        });
        drop(tracker);
        request.join().unwrap();
    });
}

#[test]
fn a_tracker_that_goes_beside_the_last_release_is_not_waited_for() {
    model(|tracker| {
        let admitted = admit(&tracker);
        begin(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        drop(tracker);
        releases.join().unwrap();
    });
}
