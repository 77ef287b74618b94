//! Rule 7: a resume takes a drain back, and nobody hangs.

use std::time::Duration;

use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tower_drain::{DrainError, DrainHandle, DrainNonce, Phase};

use crate::support::{answer, get, App, Script};

fn begun(handle: &DrainHandle) -> DrainNonce {
    handle.begin_shutdown_because("a try".into()).unwrap()
}

#[test]
fn a_resume_wakes_every_waiter_with_resumed() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    let nonce = begun(&handle);
    let mut waiters = [(); 3].map(|()| spawn(handle.wait_for_drain(Duration::MAX)));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    handle.resume(nonce).unwrap();
    for mut waiter in waiters {
        assert!(waiter.is_woken());
        assert_ready_eq!(waiter.poll(), Err(DrainError::Resumed));
    }
}

#[test]
fn a_waiter_that_was_not_polled_before_the_resume_gets_resumed() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    let nonce = begun(&handle);
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    handle.resume(nonce).unwrap();
    assert_ready_eq!(waiter.poll(), Err(DrainError::Resumed));
}

#[test]
fn a_waiter_of_a_lame_duck_is_woken_with_resumed_polled_or_not() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    let mut polled = spawn(handle.wait_for_drain(Duration::ZERO));
    let mut unpolled = spawn(handle.wait_for_drain(Duration::ZERO));
    assert_pending!(polled.poll());
    handle.resume(nonce).unwrap();
    assert!(polled.is_woken());
    assert_ready_eq!(polled.poll(), Err(DrainError::Resumed));
    assert_ready_eq!(unpolled.poll(), Err(DrainError::Resumed));
}

#[test]
fn a_waiter_from_before_the_begin_belongs_to_the_drain_that_is_taken_back() {
    let handle = DrainHandle::new();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    let mut unpolled = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    handle.resume(nonce).unwrap();
    assert!(waiter.is_woken());
    assert_ready_eq!(waiter.poll(), Err(DrainError::Resumed));
    assert_ready_eq!(unpolled.poll(), Err(DrainError::Resumed));
}

#[test]
fn a_waiter_of_a_drain_that_was_taken_back_is_not_carried_into_the_next() {
    let handle = DrainHandle::new();
    let nonce = begun(&handle);
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    handle.resume(nonce).unwrap();
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Drained);
    assert_ready_eq!(waiter.poll(), Err(DrainError::Resumed));
}

#[test]
fn after_a_resume_requests_and_guards_are_admitted_again() {
    let mut app = App::new();
    let nonce = begun(&app.handle);
    assert_eq!(app.answer(get("/")).status(), 503);
    app.handle.resume(nonce).unwrap();
    assert_eq!(
        (app.handle.phase(), app.handle.reason()),
        (Phase::Serving, None)
    );
    assert_eq!(
        (app.handle.nonce(), app.handle.is_draining()),
        (None, false)
    );
    let (mut opened, call) = app.open(get("/"));
    call.answer(&Script::new());
    assert_eq!(answer(&mut opened).status(), 200);
    assert!(app.handle.try_guard().is_ok());
}

#[test]
fn a_drain_that_ended_can_be_taken_back_and_the_next_starts_fresh() {
    let mut app = App::new();
    let first = begun(&app.handle);
    assert_eq!(app.handle.phase(), Phase::Drained);
    drop(app.answer(get("/")));
    app.handle.resume(first).unwrap();
    assert!(app.handle.resume(first).unwrap_err().is_stale());

    let guard = app.handle.try_guard().unwrap();
    let second = begun(&app.handle);
    assert_ne!(first, second);
    let mut waiter = spawn(app.handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    drop(guard);
    let report = assert_ready!(waiter.poll()).unwrap();
    assert_eq!((report.in_flight_at_start, report.rejected), (1, 0));
}

#[test]
fn what_was_admitted_before_a_resume_still_holds_the_next_drain() {
    let mut app = App::new();
    let (opened, _call) = app.open(get("/"));
    let nonce = begun(&app.handle);
    app.handle.resume(nonce).unwrap();
    begun(&app.handle);
    assert_eq!(app.handle.phase(), Phase::Draining);
    drop(opened);
    assert_eq!(app.handle.phase(), Phase::Drained);
}

#[test]
fn only_the_nonce_of_the_drain_that_is_on_takes_it_back() {
    let handle = DrainHandle::new();
    let first = begun(&handle);
    handle.resume(first).unwrap();
    assert!(
        handle.resume(first).unwrap_err().is_stale(),
        "no drain is on"
    );

    let second = begun(&handle);
    for stale in [
        first,
        DrainNonce::from_u64(0),
        DrainNonce::from_u64(u64::MAX),
    ] {
        let error = handle.resume(stale).unwrap_err();
        assert!(error.is_stale() && !error.is_sealed());
        assert_eq!(
            (handle.phase(), handle.nonce()),
            (Phase::Drained, Some(second))
        );
    }
    handle
        .resume(DrainNonce::from_u64(second.as_u64()))
        .unwrap();
}

#[test]
fn a_sealed_drain_is_final_and_a_stale_nonce_still_stale() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    assert!(handle.seal());
    assert!(!handle.seal());
    let error = handle.resume(nonce).unwrap_err();
    assert!(error.is_sealed() && !error.is_stale());
    assert_eq!(handle.phase(), Phase::LameDuck);
    let other = DrainNonce::from_u64(nonce.as_u64() ^ 1);
    assert!(handle.resume(other).unwrap_err().is_stale());
    assert!(handle.begin_shutdown());
    assert!(handle.resume(nonce).unwrap_err().is_sealed());
}

#[test]
fn a_seal_while_serving_makes_the_next_drain_final() {
    let handle = DrainHandle::new();
    assert!(handle.seal());
    assert_eq!(handle.phase(), Phase::Serving);
    assert!(handle.try_guard().is_ok());
    let nonce = begun(&handle);
    assert!(handle.resume(nonce).unwrap_err().is_sealed());
}
