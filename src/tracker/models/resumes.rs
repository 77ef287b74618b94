//! What goes on after a drain is lifted.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::{admit, begin, drains, guard, model, phase, spawn};
use crate::{DrainReason, Phase};

#[test]
fn whoever_sees_serving_again_is_admitted() {
    model(|tracker| {
        let nonce = begin(&tracker).unwrap();
        let request = spawn(&tracker, |tracker| {
            if phase(&tracker) == Phase::Serving {
                assert!(admit(&tracker).is_some());
                assert!(guard(&tracker).is_some());
            }
        });
        tracker.resume(nonce).unwrap();
        request.join().unwrap();
    });
}

#[test]
fn begin_against_resume_leaves_the_doors_as_the_phase_says() {
    model(|tracker| {
        tracker.leave(DrainReason::Requested);
        let nonce = tracker.nonce().unwrap();
        let resumes = spawn(&tracker, move |tracker| tracker.resume(nonce).is_ok());
        begin(&tracker);
        let resumed = resumes.join().unwrap();
        let is_serving = phase(&tracker) == Phase::Serving;
        assert!(resumed || !is_serving);
        for door in tracker.doors() {
            assert_eq!(door.admit().is_some(), is_serving);
        }
    });
}

#[test]
fn a_release_that_is_late_does_not_end_the_next_drain() {
    model(|tracker| {
        let first = tracker.doors()[0].admit();
        let nonce = begin(&tracker).unwrap();
        let releases = thread::spawn(move || drop(first));
        tracker.resume(nonce).unwrap();
        let second = admit(&tracker).unwrap();
        begin(&tracker);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Draining);
        drop(second);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_1_whoever_passed_the_gate_before_a_close_and_a_resume_is_counted_or_rejected() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| admit(&tracker));
        let nonce = begin(&tracker).unwrap();
        tracker.resume(nonce).unwrap();
        let admitted = request.join().unwrap();
        assert_eq!(tracker.in_flight(), usize::from(admitted.is_some()));
        assert!(!admitted.iter().any(|admitted| admitted.is_cut()));
        drains(&tracker, admitted);
    });
}

#[test]
fn invariant_1_whoever_passed_the_gate_two_closes_ago_is_counted_or_rejected() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| admit(&tracker));
        let nonce = begin(&tracker).unwrap();
        tracker.resume(nonce).unwrap();
        begin(&tracker);
        let admitted = request.join().unwrap();
        let held = usize::from(admitted.is_some());
        assert_eq!(tracker.in_flight(), held);
        assert_eq!(phase(&tracker) == Phase::Drained, held == 0);
        drop(admitted);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_6_whoever_passed_the_gate_before_a_close_and_a_cut_holds_the_next_drain() {
    model(|tracker| {
        let other = admit(&tracker).unwrap();
        let request = spawn(&tracker, |tracker| admit(&tracker));
        let nonce = begin(&tracker).unwrap();
        let ended = tracker.cut();
        tracker.resume(nonce).unwrap();
        let admitted = request.join().unwrap();
        let was_cut = admitted.as_ref().is_some_and(|admitted| admitted.is_cut());
        assert!((1 + usize::from(was_cut)..=2).contains(&ended));
        assert!(other.is_cut());
        drains(&tracker, admitted.into_iter().chain([other]));
    });
}

#[test]
fn invariant_3_a_resume_beside_the_last_release_goes_on_with_a_batch_that_counts() {
    model(|tracker| {
        let last = admit(&tracker);
        let nonce = begin(&tracker).unwrap();
        let releases = thread::spawn(move || drop(last));
        tracker.resume(nonce).unwrap();
        let next = admit(&tracker).unwrap();
        assert!((1..=2).contains(&tracker.in_flight()));
        begin(&tracker);
        assert_eq!(phase(&tracker), Phase::Draining);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Draining);
        assert_eq!(tracker.in_flight(), 1);
        drop(next);
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_3_a_release_beside_resume_and_begin_ends_the_next_drain() {
    model(|tracker| {
        let last = admit(&tracker);
        let nonce = begin(&tracker).unwrap();
        let releases = thread::spawn(move || drop(last));
        tracker.resume(nonce).unwrap();
        begin(&tracker);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_6_what_is_admitted_after_a_resume_beside_a_cut_is_not_in_what_was_cut() {
    model(|tracker| {
        let old = admit(&tracker).unwrap();
        let nonce = begin(&tracker).unwrap();
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        tracker.resume(nonce).unwrap();
        assert_eq!(cuts.join().unwrap(), 1);
        let next = admit(&tracker).unwrap();
        assert!(old.is_cut() && !next.is_cut());
        drains(&tracker, [next, old]);
    });
}

#[test]
fn invariant_6_a_resume_after_a_cut_beside_the_last_release_renews_the_batch() {
    model(|tracker| {
        let old = admit(&tracker).unwrap();
        let nonce = begin(&tracker).unwrap();
        assert_eq!(tracker.cut(), 1);
        let releases = thread::spawn(move || drop(old));
        tracker.resume(nonce).unwrap();
        let (next, held) = (admit(&tracker).unwrap(), guard(&tracker).unwrap());
        assert!(!next.is_cut() && !held.is_cut());
        releases.join().unwrap();
        assert_eq!(tracker.cut(), 1);
        drop(held);
        drains(&tracker, [next]);
    });
}

#[test]
fn whoever_is_admitted_again_sees_what_the_resumer_did() {
    model(|tracker| {
        let done = Arc::new(AtomicBool::new(false));
        // Its batch is taken up again, so that the others come in by the gate alone.
        let _held = admit(&tracker);
        let nonce = begin(&tracker).unwrap();
        let request = {
            let done = done.clone();
            spawn(&tracker, move |tracker| {
                if admit(&tracker).is_some() {
                    assert!(done.load(Relaxed));
                }
            })
        };
        done.store(true, Relaxed);
        tracker.resume(nonce).unwrap();
        request.join().unwrap();
    });
}
