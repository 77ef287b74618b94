//! Guards and tracked futures: work that is not a request.

use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{DrainHandle, Phase};

use crate::support::{drop_probe, panics};

#[test]
fn a_guard_holds_the_drain_until_it_is_dropped() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    assert_eq!(handle.in_flight(), 1);
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Draining);
    drop(guard);
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
}

#[test]
fn a_lame_duck_gives_guards_and_a_draining_service_gives_none() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck();
    let _guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let error = handle.try_guard().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service is shutting down and takes no new work"
    );
    assert!(handle.try_guard_as("late").is_err());
    assert!(handle.track(async {}).is_err());
    assert_eq!(handle.in_flight(), 1);
}

#[test]
fn a_rejected_future_is_dropped_unpolled() {
    let handle = DrainHandle::new();
    handle.begin_shutdown();
    let (probe, seen) = drop_probe(&handle);
    assert!(handle.track(async move { drop(probe) }).is_err());
    assert_eq!(seen.try_recv(), Ok(0));
}

#[test]
fn a_held_guard_may_be_cloned_while_draining_and_its_clone_holds_the_drain() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let clone = guard.clone();
    assert_eq!(handle.in_flight(), 2);
    drop(guard);
    assert_eq!((handle.in_flight(), handle.phase()), (1, Phase::Draining));
    let clone_of_the_clone = clone.clone();
    drop(clone);
    assert_eq!(handle.phase(), Phase::Draining);
    drop(clone_of_the_clone);
    assert_eq!(handle.phase(), Phase::Drained);
}

#[test]
fn the_cut_of_a_guard_is_latched_and_goes_for_its_clones() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    let early = guard.clone();
    assert!(!guard.is_cut());
    let mut unpolled = spawn(guard.cut());
    let mut parked = spawn(early.cut());
    assert_pending!(parked.poll());
    handle.cut();
    let late = guard.clone();
    assert!(parked.is_woken());
    assert_ready!(parked.poll());
    assert_ready!(unpolled.poll());
    for guard in [&guard, &early, &late] {
        assert!(guard.is_cut());
        assert_ready!(spawn(guard.cut()).poll());
    }
}

#[test]
fn a_guard_taken_after_a_cut_is_not_cut() {
    let handle = DrainHandle::new();
    let _old = handle.try_guard().unwrap();
    handle.cut();
    let new = handle.try_guard().unwrap();
    assert!(!new.is_cut());
    let mut told = spawn(new.cut());
    assert_pending!(told.poll());
    handle.cut();
    assert!(told.is_woken());
}

#[test]
fn the_future_of_a_guards_cut_does_not_hold_the_drain() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    let mut told = spawn(guard.cut());
    assert_pending!(told.poll());
    handle.begin_shutdown();
    drop(guard);
    assert_eq!(handle.phase(), Phase::Drained);
    handle.cut();
    assert_ready!(told.poll());
}

#[test]
fn a_guard_may_outlive_every_handle() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard_as("last").unwrap();
    handle.begin_shutdown();
    drop(handle);
    let clone = guard.clone();
    assert!(!clone.is_cut());
    drop(guard);
    drop(clone);
}

#[test]
fn a_tracked_future_is_counted_from_the_call_until_it_ends_or_is_dropped() {
    let handle = DrainHandle::new();
    let unpolled = handle.track(async {}).unwrap();
    assert_eq!(handle.in_flight(), 1);
    drop(unpolled);
    assert_eq!(handle.in_flight(), 0);

    let mut ended = spawn(handle.track(async { "done" }).unwrap());
    assert_eq!(assert_ready!(ended.poll()), Some("done"));
    assert_eq!(handle.in_flight(), 0);

    let mut half_way = spawn(handle.track(std::future::pending::<()>()).unwrap());
    assert_pending!(half_way.poll());
    drop(half_way);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_tracked_future_that_panics_is_released() {
    let handle = DrainHandle::new();
    let mut tracked = spawn(handle.track(async { panic!("on purpose") }).unwrap());
    assert!(panics(|| tracked.poll().map(|_: Option<()>| ())));
    drop(tracked);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn tracking_inside_tracking_counts_each() {
    let handle = DrainHandle::new();
    let inner = handle.track(std::future::pending::<()>()).unwrap();
    let outer = handle.track(inner).unwrap();
    assert_eq!(handle.in_flight(), 2);
    drop(outer);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn sixteen_thousand_guards_are_counted_and_given_back() {
    let handle = DrainHandle::new();
    let guards: Vec<_> = (0..16_000).map(|_| handle.try_guard().unwrap()).collect();
    assert_eq!(handle.in_flight(), 16_000);
    let mut told: Vec<_> = guards.iter().map(|guard| spawn(guard.cut())).collect();
    assert!(told.iter_mut().all(|told| told.poll().is_pending()));
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 0);
    assert!(told.iter().all(|told| told.is_woken()));
    drop(guards);
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
}
