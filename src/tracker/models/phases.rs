//! What is seen by who asks for the phase, and by who is rejected.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{admit, begin, model, spawn};
use crate::tracker::lock;

#[test]
fn invariant_2_a_rejection_waits_for_no_lock() {
    model(|tracker| {
        begin(&tracker);
        let _registry = lock(&tracker.doors()[1].shard().registry.0);
        let rejected = spawn(&tracker, |tracker| admit(&tracker).is_none());
        assert!(rejected.join().unwrap());
    });
}

#[test]
fn whoever_finds_that_serving_is_over_sees_what_the_beginner_did() {
    model(|tracker| {
        let done = Arc::new(AtomicBool::new(false));
        let admitted = admit(&tracker).unwrap();
        let begins = {
            let done = done.clone();
            spawn(&tracker, move |tracker| {
                done.store(true, Relaxed);
                begin(&tracker);
            })
        };
        if !admitted.is_serving() {
            assert!(done.load(Relaxed));
        }
        begins.join().unwrap();
    });
}
