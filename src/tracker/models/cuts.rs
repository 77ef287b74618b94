//! Invariant 6: who is cut, and who is counted as cut.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::{admit, begin, drains, guard, model, phase, spawn};
use crate::tracker::Called;
use crate::Phase;

#[test]
fn invariant_6_a_cut_counts_those_that_it_ends() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| admit(&tracker).unwrap());
        let ended = tracker.cut();
        let admitted = request.join().unwrap();
        let was_cut = admitted.is_cut();
        // One that crossed the cut may be counted, and not ended.
        assert!(ended <= 1 && ended >= usize::from(was_cut));
        assert_eq!(tracker.cut(), usize::from(!was_cut));
        assert!(admitted.is_cut());
        assert_eq!(tracker.cut(), 0);
        drains(&tracker, [admitted]);
    });
}

#[test]
fn invariant_6_a_cut_that_no_admission_crosses_counts_exactly_those_that_it_ends() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| admit(&tracker));
        begin(&tracker);
        let admitted = request.join().unwrap();
        assert_eq!(tracker.cut(), usize::from(admitted.is_some()));
        assert!(admitted.iter().all(|admitted| admitted.is_cut()));
        assert_eq!(tracker.cut(), 0);
    });
}

#[test]
fn invariant_6_a_cut_beside_a_begin_ends_what_is_held_once() {
    model(|tracker| {
        let admitted = admit(&tracker).unwrap();
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        begin(&tracker);
        assert_eq!(phase(&tracker), Phase::Draining);
        assert_eq!(cuts.join().unwrap() + tracker.cut(), 1);
        assert!(admitted.is_cut());
        drop(admitted);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_6_of_two_cuts_one_counts_what_both_end() {
    model(|tracker| {
        let admitted = admit(&tracker).unwrap();
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        let ended = tracker.cut();
        assert!(admitted.is_cut());
        assert_eq!(ended + cuts.join().unwrap(), 1);
        drains(&tracker, [admitted]);
    });
}

#[test]
fn invariant_6_whoever_leaves_because_of_a_cut_is_counted() {
    model(|tracker| {
        let admitted = admit(&tracker).unwrap();
        let leaves = thread::spawn(move || {
            let was_cut = admitted.is_cut();
            drop(admitted);
            was_cut
        });
        let ended = tracker.cut();
        assert!(ended >= usize::from(leaves.join().unwrap()));
    });
}

#[test]
fn invariant_6_the_last_release_beside_a_cut_ends_the_drain() {
    model(|tracker| {
        let admitted = admit(&tracker);
        begin(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        tracker.cut();
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_6_a_release_beside_a_cut_leaves_nothing_to_be_cut() {
    model(|tracker| {
        let admitted = admit(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        assert!(tracker.cut() <= 1);
        releases.join().unwrap();
        let next = admit(&tracker).unwrap();
        assert!(!next.is_cut());
        assert_eq!(tracker.cut(), 1);
    });
}

#[test]
fn invariant_6_the_release_of_what_is_cut_beside_another_cut_is_not_counted_again() {
    model(|tracker| {
        let admitted = admit(&tracker);
        let next = admit(&tracker);
        assert_eq!(tracker.cut(), 2);
        let releases = thread::spawn(move || drop(admitted));
        assert_eq!(tracker.cut(), 0);
        releases.join().unwrap();
        drop(next);
        let _last = admit(&tracker);
        assert_eq!(tracker.cut(), 1);
    });
}

#[test]
fn invariant_6_a_guard_is_told_of_a_cut_and_not_counted_as_ended() {
    model(|tracker| {
        let guards = spawn(&tracker, |tracker| guard(&tracker).unwrap());
        assert_eq!(tracker.cut(), 0);
        let held = guards.join().unwrap();
        assert_eq!(tracker.cut(), 0);
        assert!(held.is_cut());
        drains(&tracker, [held]);
    });
}

#[test]
fn invariant_6_a_guard_that_is_cloned_and_goes_beside_a_cut_is_not_counted_as_ended() {
    model(|tracker| {
        let held = guard(&tracker).unwrap();
        let admitted = admit(&tracker).unwrap();
        let guards = thread::spawn(move || {
            let clone = held.clone();
            drop(held);
            drop(clone);
        });
        assert_eq!(tracker.cut(), 1);
        guards.join().unwrap();
        assert!(admitted.is_cut());
        drains(&tracker, [admitted]);
    });
}

#[test]
fn invariant_6_a_guard_beside_a_request_is_cut_with_it_and_not_counted() {
    model(|tracker| {
        let admitted = admit(&tracker).unwrap();
        let guards = thread::spawn(move || {
            let held = admitted.guard(Called::Nothing);
            (admitted, held)
        });
        assert_eq!(tracker.cut(), 1);
        let (admitted, held) = guards.join().unwrap();
        assert!(admitted.is_cut() && held.is_cut());
        assert_eq!(tracker.in_flight(), 2);
    });
}

#[test]
fn invariant_6_a_cut_while_serving_lets_the_next_in() {
    model(|tracker| {
        let old = admit(&tracker).unwrap();
        let request = spawn(&tracker, |tracker| {
            let first = admit(&tracker).unwrap();
            let held = guard(&tracker).unwrap();
            (first, held)
        });
        let ended = tracker.cut();
        let next = admit(&tracker).unwrap();
        assert!(old.is_cut() && !next.is_cut());
        let (first, held) = request.join().unwrap();
        assert!(ended <= 2 && ended > usize::from(first.is_cut()));
        // It came after the request, hence to the same batch or the next.
        assert!(first.is_cut() || !held.is_cut());
        assert_eq!(tracker.in_flight(), 4);
        drop((first, held));
        // One that was cut holds the drain like any other.
        drains(&tracker, [next, old]);
    });
}

#[test]
fn invariant_6_of_two_batches_that_end_at_once_the_second_ends_the_drain() {
    model(|tracker| {
        let old = admit(&tracker);
        tracker.cut();
        let next = admit(&tracker);
        begin(&tracker);
        let releases = thread::spawn(move || drop(old));
        drop(next);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Drained);
        assert_eq!(tracker.in_flight(), 0);
    });
}

#[test]
fn invariant_6_the_end_of_a_cut_batch_beside_a_begin_ends_no_drain_that_another_holds() {
    model(|tracker| {
        let old = admit(&tracker);
        tracker.cut();
        let next = admit(&tracker);
        let releases = thread::spawn(move || drop(old));
        begin(&tracker);
        assert_eq!(phase(&tracker), Phase::Draining);
        releases.join().unwrap();
        assert_eq!(phase(&tracker), Phase::Draining);
        assert_eq!(tracker.in_flight(), 1);
        drop(next);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_6_a_cut_beside_begin_and_admission_loses_nobody() {
    model(|tracker| {
        let request = spawn(&tracker, |tracker| admit(&tracker));
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        begin(&tracker);
        let ended = cuts.join().unwrap();
        let admitted = request.join().unwrap();
        assert_eq!(tracker.in_flight(), usize::from(admitted.is_some()));
        assert_eq!(phase(&tracker) == Phase::Drained, admitted.is_none());
        let was_cut = admitted.as_ref().is_some_and(|admitted| admitted.is_cut());
        assert!(ended >= usize::from(was_cut));
        let left = usize::from(admitted.is_some() && !was_cut);
        assert_eq!(tracker.cut(), left);
        drop(admitted);
        assert_eq!(phase(&tracker), Phase::Drained);
    });
}

#[test]
fn invariant_6_whoever_is_cut_sees_what_the_cutter_did() {
    model(|tracker| {
        let done = Arc::new(AtomicBool::new(false));
        // It takes no lock to see the mark, as a request does. Of the first shard, before which no fence comes.
        let held = tracker.doors()[0].admit_guard(Called::Nothing).unwrap();
        let cuts = {
            let done = done.clone();
            spawn(&tracker, move |tracker| {
                done.store(true, Relaxed);
                tracker.cut();
            })
        };
        if held.is_cut() {
            assert!(done.load(Relaxed));
        }
        cuts.join().unwrap();
    });
}
