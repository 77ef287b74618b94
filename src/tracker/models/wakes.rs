//! Invariant 7: nobody who waits is forgotten.

use std::future::pending;
use std::time::Duration;

use loom::future::block_on;
use loom::thread;

use super::{admit, begin, guard, model, spawn};
use crate::tracker::parked::Parked;
use crate::tracker::Waiter;
use crate::waiting::WaitForDrain;
use crate::{DrainError, DrainGuard, Tracked};

#[test]
fn invariant_7_the_last_release_wakes_the_waiter() {
    model(|tracker| {
        let admitted = admit(&tracker);
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        begin(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        assert!(block_on(wait).is_ok());
        releases.join().unwrap();
    });
}

#[test]
fn invariant_7_the_last_guard_wakes_the_waiter() {
    model(|tracker| {
        let held = guard(&tracker);
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        begin(&tracker);
        let releases = thread::spawn(move || drop(held));
        assert!(block_on(wait).is_ok());
        releases.join().unwrap();
    });
}

#[test]
fn invariant_7_a_cut_that_lets_go_last_wakes_the_waiter() {
    model(|tracker| {
        let admitted = admit(&tracker);
        let wait = WaitForDrain::new(tracker.clone(), Duration::MAX);
        begin(&tracker);
        let releases = thread::spawn(move || drop(admitted));
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        assert!(block_on(wait).is_ok());
        releases.join().unwrap();
        cuts.join().unwrap();
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
        let held = admit(&tracker);
        let nonce = begin(&tracker).unwrap();
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
        let admitted = admit(&tracker).unwrap();
        let cuts = spawn(&tracker, |tracker| assert_eq!(tracker.cut(), 1));
        assert_eq!(block_on(Tracked::new(pending::<()>(), admitted)), None);
        cuts.join().unwrap();
    });
}

#[test]
fn invariant_7_a_cut_wakes_who_waits_for_that_of_a_guard() {
    model(|tracker| {
        let guard = DrainGuard::new(guard(&tracker).unwrap());
        let cuts = spawn(&tracker, |tracker| assert_eq!(tracker.cut(), 0));
        block_on(guard.cut());
        cuts.join().unwrap();
    });
}

#[test]
fn invariant_7_a_cut_wakes_who_waits_for_that_of_a_guard_that_goes() {
    model(|tracker| {
        let guard = DrainGuard::new(guard(&tracker).unwrap());
        begin(&tracker);
        let cut = guard.cut();
        let cuts = spawn(&tracker, |tracker| tracker.cut());
        drop(guard);
        block_on(cut);
        cuts.join().unwrap();
    });
}

#[test]
fn invariant_7_a_begin_wakes_who_waits_for_readiness() {
    model(|tracker| {
        let waiter = Waiter::new(tracker.doors()[1].shard().clone());
        let begins = spawn(&tracker, |tracker| begin(&tracker));
        block_on(Parked(waiter));
        begins.join().unwrap();
    });
}

#[test]
fn a_cut_after_the_end_of_a_drain_does_not_end_it_again() {
    model(|tracker| {
        let [first, second] = [(); 2].map(|()| WaitForDrain::new(tracker.clone(), Duration::MAX));
        begin(&tracker);
        let waited = block_on(first).unwrap().waited;
        tracker.cut();
        assert_eq!(block_on(second).unwrap().waited, waited);
    });
}
