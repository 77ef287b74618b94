//! Models of the counting core: loom runs each under every interleaving, and every order that the memory model
//! allows, of two or three threads. Each is named after the invariant of `count` that it proves.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::parked::Parked;
use super::{Tracker, Waiter};
use crate::waiting::WaitForDrain;
use crate::{DrainError, DrainReason, Phase, Tracked};

fn begin(tracker: &Tracker) {
    tracker.begin(DrainReason::Requested);
}

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

#[test]
fn invariant_1_admission_and_closing_cannot_cross() {
    model(|tracker| {
        let running = Arc::new(AtomicBool::new(false));
        let request = {
            let running = running.clone();
            spawn(&tracker, move |tracker| {
                if let Some(admitted) = tracker.shards()[1].admit() {
                    running.store(true, Relaxed);
                    running.store(false, Relaxed);
                    drop(admitted);
                }
            })
        };
        begin(&tracker);
        if tracker.staged().phase == Phase::Drained {
            assert!(!running.load(Relaxed));
            assert!(tracker.shards()[1].admit().is_none());
        }
        request.join().unwrap();
        assert_eq!(tracker.staged().phase, Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_2_a_rejection_is_never_in_the_count() {
    model(|tracker| {
        begin(&tracker);
        let rejected = spawn(&tracker, |tracker| {
            assert!(tracker.shards()[1].admit().is_none());
        });
        assert_eq!(tracker.in_flight(), 0);
        rejected.join().unwrap();
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_3_a_guard_cloned_while_closing_holds_the_drain() {
    model(|tracker| {
        let held = tracker.shards()[1]
            .admit_guard(super::Called::Nothing)
            .unwrap();
        let clones = spawn(&tracker, move |tracker| {
            let clone = held.clone();
            drop(held);
            assert_ne!(tracker.staged().phase, Phase::Drained);
            drop(clone);
        });
        begin(&tracker);
        clones.join().unwrap();
        assert_eq!(tracker.staged().phase, Phase::Drained);
    });
}

#[test]
fn invariant_4_of_two_last_releases_on_two_shards_one_ends_the_drain() {
    model(|tracker| {
        let first = tracker.shards()[0].admit();
        let second = tracker.shards()[1].admit();
        begin(&tracker);
        let releases = thread::spawn(move || drop(first));
        drop(second);
        releases.join().unwrap();
        assert_eq!(tracker.staged().phase, Phase::Drained);
    });
}

#[test]
fn invariant_4_a_release_beside_begin_ends_the_drain() {
    model(|tracker| {
        let admitted = tracker.shards()[1].admit();
        let releases = thread::spawn(move || drop(admitted));
        begin(&tracker);
        releases.join().unwrap();
        assert_eq!(tracker.staged().phase, Phase::Drained);
    });
}

#[test]
fn invariant_5_whoever_sees_the_drain_ended_sees_what_was_done_before_the_release() {
    model(|tracker| {
        let done = Arc::new(AtomicBool::new(false));
        let admitted = tracker.shards()[1].admit();
        let request = {
            let done = done.clone();
            thread::spawn(move || {
                done.store(true, Relaxed);
                drop(admitted);
            })
        };
        begin(&tracker);
        if tracker.staged().phase == Phase::Drained {
            assert!(done.load(Relaxed));
        }
        request.join().unwrap();
    });
}

#[test]
fn invariant_6_a_cut_counts_exactly_those_that_it_ends() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| tracker.shards()[1].admit().unwrap());
        let ended = tracker.cut();
        let admitted = request.join().unwrap();
        assert_eq!(ended, usize::from(admitted.is_cut()));
        assert_eq!(tracker.cut(), 1 - ended);
        assert_eq!(tracker.cut(), 0);
    });
}

#[test]
fn invariant_6_a_release_beside_a_cut_leaves_nothing_to_be_cut() {
    model(|tracker| {
        let admitted = tracker.shards()[1].admit();
        let releases = thread::spawn(move || drop(admitted));
        tracker.cut();
        releases.join().unwrap();
        let next = tracker.shards()[1].admit().unwrap();
        assert!(!next.is_cut());
        assert_eq!(tracker.cut(), 1);
    });
}

#[test]
fn invariant_6_the_release_of_what_is_cut_beside_another_cut_is_not_counted_again() {
    model(|tracker| {
        let admitted = tracker.shards()[1].admit();
        let next = tracker.shards()[1].admit();
        assert_eq!(tracker.cut(), 2);
        let releases = thread::spawn(move || drop(admitted));
        assert_eq!(tracker.cut(), 0);
        releases.join().unwrap();
        drop(next);
        let _last = tracker.shards()[1].admit();
        assert_eq!(tracker.cut(), 1);
    });
}

#[test]
fn invariant_7_the_last_release_wakes_the_waiter() {
    model(|tracker| {
        let admitted = tracker.shards()[1].admit();
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        begin(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        assert!(block_on(wait).is_ok());
        releases.join().unwrap();
    });
}

#[test]
fn invariant_7_a_waiter_from_before_the_begin_is_woken() {
    model(|tracker| {
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        let begins = spawn(&tracker, |tracker| begin(&tracker));
        assert!(block_on(wait).is_ok());
        begins.join().unwrap();
    });
}

#[test]
fn invariant_7_a_resume_wakes_the_waiter() {
    model(|tracker| {
        let held = tracker.shards()[1].admit();
        begin(&tracker);
        let nonce = tracker.nonce().unwrap();
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        let resumes = spawn(&tracker, move |tracker| tracker.resume(nonce).unwrap());
        assert_eq!(block_on(wait).unwrap_err(), DrainError::Resumed);
        resumes.join().unwrap();
        drop(held);
    });
}

#[test]
fn invariant_7_a_cut_wakes_what_is_parked() {
    model(|tracker| {
        let admitted = tracker.shards()[1].admit().unwrap();
        let cuts = spawn(&tracker, |tracker| assert_eq!(tracker.cut(), 1));
        assert_eq!(block_on(Tracked::new(pending::<()>(), admitted)), None);
        cuts.join().unwrap();
    });
}

#[test]
fn invariant_7_a_begin_wakes_who_waits_for_readiness() {
    model(|tracker| {
        let waiter = Waiter::new(tracker.shards()[1].clone());
        let begins = spawn(&tracker, |tracker| begin(&tracker));
        block_on(Parked(waiter));
        begins.join().unwrap();
    });
}

#[test]
fn whoever_is_rejected_finds_that_the_phase_has_left_serving() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| {
            if tracker.shards()[1].admit().is_none() {
                assert_ne!(tracker.staged().phase, Phase::Serving);
            }
        });
        begin(&tracker);
        request.join().unwrap();
    });
}

#[test]
fn whoever_sees_serving_again_is_admitted() {
    model(|tracker| {
        begin(&tracker);
        let nonce = tracker.nonce().unwrap();
        let request = spawn(&tracker, |tracker| {
            if tracker.staged().phase == Phase::Serving {
                assert!(tracker.shards()[1].admit().is_some());
            }
        });
        tracker.resume(nonce).unwrap();
        request.join().unwrap();
    });
}

#[test]
fn begin_against_resume_leaves_the_shards_as_the_phase_says() {
    model(|tracker| {
        tracker.leave(DrainReason::Requested);
        let nonce = tracker.nonce().unwrap();
        let resumes = spawn(&tracker, move |tracker| tracker.resume(nonce).is_ok());
        begin(&tracker);
        let resumed = resumes.join().unwrap();
        let is_serving = tracker.staged().phase == Phase::Serving;
        assert!(resumed || !is_serving);
        for shard in tracker.shards() {
            assert_eq!(shard.admit().is_some(), is_serving);
        }
    });
}

#[test]
fn a_release_that_is_late_does_not_end_the_next_drain() {
    model(|tracker| {
        let first = tracker.shards()[0].admit();
        begin(&tracker);
        let releases = thread::spawn(move || drop(first));
        let nonce = tracker.nonce().unwrap();
        tracker.resume(nonce).unwrap();
        let second = tracker.shards()[1].admit().unwrap();
        begin(&tracker);
        releases.join().unwrap();
        assert_eq!(tracker.staged().phase, Phase::Draining);
        drop(second);
        assert_eq!(tracker.staged().phase, Phase::Drained);
    });
}
