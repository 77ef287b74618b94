//! Begins, phases, and the futures that follow them. None of these tests has a runtime.

use std::future::Future;

use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tower_drain::{DrainHandle, DrainReason, Phase};

use crate::support::{get, App};

#[test]
fn phases_are_ordered_as_a_service_goes_through_them() {
    let order = [
        Phase::Serving,
        Phase::LameDuck,
        Phase::Draining,
        Phase::Drained,
    ];
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    assert_eq!(handle.phase(), order[0]);
    handle.begin_lame_duck();
    assert_eq!((handle.phase(), handle.is_draining()), (order[1], false));
    handle.begin_shutdown();
    assert_eq!((handle.phase(), handle.is_draining()), (order[2], true));
    drop(guard);
    assert_eq!((handle.phase(), handle.is_draining()), (order[3], true));
}

#[test]
fn begin_lame_duck_is_true_for_the_call_that_changed_the_phase() {
    let handle = DrainHandle::new();
    assert!(handle.begin_lame_duck());
    assert!(!handle.begin_lame_duck());
    handle.begin_shutdown();
    assert!(!handle.begin_lame_duck());
    assert_eq!(handle.phase(), Phase::Drained);
}

#[test]
fn begin_shutdown_is_true_for_one_call() {
    let handle = DrainHandle::new();
    assert!(handle.begin_shutdown());
    assert!(!handle.begin_shutdown());
}

#[test]
fn a_lame_duck_serves_until_the_shutdown_begins() {
    let mut app = App::new();
    app.handle.begin_lame_duck();
    let (opened, _call) = app.open(get("/"));
    assert_eq!(app.handle.in_flight(), 1);
    drop(opened);
    assert_eq!(app.handle.phase(), Phase::LameDuck);
    app.handle.begin_shutdown();
    assert_eq!(app.answer(get("/")).status(), 503);
}

#[test]
fn the_first_reason_stands() {
    let handle = DrainHandle::new();
    assert_eq!(handle.reason(), None);
    handle.begin_lame_duck_because(DrainReason::Goodbye);
    handle.begin_lame_duck_because("later".into());
    handle.begin_shutdown_because(DrainReason::Signal("SIGTERM".into()));
    assert_eq!(handle.reason(), Some(DrainReason::Goodbye));
    assert_eq!(handle.status().reason, Some(DrainReason::Goodbye));

    let handle = DrainHandle::new();
    handle.begin_shutdown();
    assert_eq!(handle.reason(), Some(DrainReason::Requested));
}

#[test]
fn one_nonce_names_the_drain_from_the_lame_duck_on() {
    let handle = DrainHandle::new();
    assert_eq!(handle.nonce(), None);
    let nonce = handle.begin_lame_duck_because("a try".into());
    assert!(nonce.is_some());
    assert_eq!(handle.begin_lame_duck_because("again".into()), None);
    assert_eq!(handle.begin_shutdown_because("now".into()), nonce);
    assert_eq!(handle.begin_shutdown_because("again".into()), None);
    assert_eq!(handle.nonce(), nonce);
}

#[test]
fn a_nonce_is_not_zero_and_below_2_to_the_53_and_differs_between_drains() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let nonce = DrainHandle::new()
            .begin_lame_duck_because("a try".into())
            .unwrap();
        assert!((1..1 << 53).contains(&nonce.as_u64()));
        assert!(seen.insert(nonce));
    }
    assert!(
        seen.iter().any(|nonce| nonce.as_u64() > 1 << 50),
        "all of its bits"
    );
}

#[test]
fn leaving_and_draining_wait_for_their_phase() {
    let handle = DrainHandle::new();
    let (mut leaving, mut draining) = (spawn(handle.leaving()), spawn(handle.draining()));
    assert_pending!(leaving.poll());
    assert_pending!(draining.poll());
    handle.begin_lame_duck();
    assert!(leaving.is_woken() && !draining.is_woken());
    assert_ready!(leaving.poll());
    assert_pending!(draining.poll());
    handle.begin_shutdown();
    assert!(draining.is_woken());
    assert_ready!(draining.poll());
}

#[test]
fn leaving_and_draining_are_ready_at_once_when_it_has_happened() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck();
    assert_ready!(spawn(handle.leaving()).poll());
    assert_pending!(spawn(handle.draining()).poll());
    handle.begin_shutdown();
    assert_ready!(spawn(handle.leaving()).poll());
    assert_ready!(spawn(handle.draining()).poll());
}

#[test]
fn a_begin_and_a_resume_between_two_polls_still_resolve_leaving_and_draining() {
    let handle = DrainHandle::new();
    let mut polled = (spawn(handle.leaving()), spawn(handle.draining()));
    let mut unpolled = (spawn(handle.leaving()), spawn(handle.draining()));
    assert_pending!(polled.0.poll());
    assert_pending!(polled.1.poll());
    let nonce = handle.begin_shutdown_because("a try".into()).unwrap();
    let mut made_while_on = (spawn(handle.leaving()), spawn(handle.draining()));
    handle.resume(nonce).unwrap();
    for (leaving, draining) in [&mut polled, &mut unpolled, &mut made_while_on] {
        assert_ready!(leaving.poll());
        assert_ready!(draining.poll());
    }
    assert_pending!(spawn(handle.leaving()).poll());
    assert_pending!(spawn(handle.draining()).poll());
}

#[test]
fn a_lame_duck_taken_back_resolves_leaving_and_not_draining() {
    let handle = DrainHandle::new();
    let (mut leaving, mut draining) = (spawn(handle.leaving()), spawn(handle.draining()));
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    handle.resume(nonce).unwrap();
    assert_ready!(leaving.poll());
    assert_pending!(draining.poll());
}

#[test]
fn changed_resolves_with_each_next_phase() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    let mut changed = spawn(handle.changed());
    assert_pending!(changed.poll());
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    assert!(changed.is_woken());
    assert_ready_eq!(changed.poll(), Phase::LameDuck);

    let mut changed = spawn(handle.changed());
    assert_pending!(changed.poll());
    handle.begin_shutdown();
    assert_ready_eq!(changed.poll(), Phase::Draining);

    let mut changed = spawn(handle.changed());
    assert_pending!(changed.poll());
    drop(guard);
    assert!(changed.is_woken());
    assert_ready_eq!(changed.poll(), Phase::Drained);

    let mut changed = spawn(handle.changed());
    assert_pending!(changed.poll());
    handle.resume(nonce).unwrap();
    assert!(changed.is_woken());
    assert_ready_eq!(changed.poll(), Phase::Serving);
}

#[test]
fn changed_is_from_the_call_not_from_the_first_poll() {
    let handle = DrainHandle::new();
    let mut changed = spawn(handle.changed());
    let mut there_and_back = spawn(handle.changed());
    handle.begin_shutdown();
    assert_ready_eq!(changed.poll(), Phase::Drained);
    let nonce = handle.nonce().unwrap();
    handle.resume(nonce).unwrap();
    assert_ready_eq!(there_and_back.poll(), Phase::Serving);
}

#[test]
fn changed_tells_the_end_also_when_the_last_handle_is_gone() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let mut changed = spawn(handle.changed());
    assert_pending!(changed.poll());
    drop(handle);
    drop(guard);
    assert!(changed.is_woken());
    assert_ready_eq!(changed.poll(), Phase::Drained);
}

#[test]
fn a_begin_with_nothing_in_flight_is_drained_at_once() {
    let handle = DrainHandle::new();
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Drained);
}

#[test]
fn status_is_read_in_one_go_and_never_has_the_nonce() {
    let mut app = App::new();
    let (_opened, _call) = app.open(get("/"));
    let before = app.handle.status();
    assert_eq!(
        (before.phase, before.in_flight, before.rejected),
        (Phase::Serving, 1, 0)
    );
    let nonce = app.handle.begin_shutdown_because("a try".into()).unwrap();
    drop(app.answer(get("/")));
    let status = app.handle.status();
    assert_eq!(
        (status.phase, status.in_flight, status.rejected),
        (Phase::Draining, 1, 1)
    );
    assert_eq!(status.reason, Some(DrainReason::Other("a try".into())));
    assert!(status.since >= before.since);
    let nonce = nonce.to_string();
    assert!(!format!("{status:?} {:?}", app.handle).contains(&nonce));
}

#[test]
fn clones_and_the_layers_handle_are_the_same_handle() {
    let app = App::new();
    let clone = app.handle.clone();
    clone.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Drained);
    assert_eq!(app.handle.nonce(), clone.nonce());
}

#[test]
fn a_dropped_future_leaves_no_waker_behind() {
    let handle = DrainHandle::new();
    let mut task = spawn(());
    let before = task.waker_ref_count();
    let mut leaving = Box::pin(handle.leaving());
    let mut waiting = Box::pin(handle.wait_for_drain(std::time::Duration::MAX));
    task.enter(|cx, _| {
        assert!(leaving.as_mut().poll(cx).is_pending());
        assert!(waiting.as_mut().poll(cx).is_pending());
    });
    assert!(task.waker_ref_count() > before);
    drop((leaving, waiting));
    assert_eq!(task.waker_ref_count(), before);
}
