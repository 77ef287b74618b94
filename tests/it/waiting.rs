//! `wait_for_drain`: for which drain, and by which clock.

use std::time::Duration;

use tokio::time::advance;
use tokio_test::task::{spawn, Spawn};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tower_drain::{DrainError, DrainGuard, DrainHandle, WaitForDrain};

const SECOND: Duration = Duration::from_secs(1);

fn held() -> (DrainHandle, DrainGuard) {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    (handle, guard)
}

fn timed_out(waiter: &mut Spawn<WaitForDrain>) -> (usize, Duration) {
    match assert_ready!(waiter.poll()) {
        Err(DrainError::TimedOut {
            in_flight, waited, ..
        }) => (in_flight, waited),
        other => panic!("a timeout expected, not {other:?}"),
    }
}

#[test]
fn without_a_runtime_a_waiter_without_a_limit_sees_the_end() {
    let (handle, guard) = held();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    handle.begin_shutdown();
    assert_pending!(waiter.poll());
    drop(guard);
    assert!(waiter.is_woken());
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn without_a_runtime_a_waiter_with_a_limit_may_be_made_and_polled_while_serving() {
    let handle = DrainHandle::new();
    let mut waiter = spawn(handle.wait_for_drain(SECOND));
    assert_pending!(waiter.poll());
    handle.begin_shutdown();
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn any_number_of_waiters_are_woken_by_the_last_release() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut waiters: Vec<_> = (0..200)
        .map(|_| spawn(handle.wait_for_drain(Duration::MAX)))
        .collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(guard);
    for mut waiter in waiters {
        assert!(waiter.is_woken());
        assert_ready!(waiter.poll()).unwrap();
    }
}

#[test]
fn a_release_that_is_not_the_last_wakes_nobody() {
    let (handle, guard) = held();
    let other = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    drop(guard);
    assert!(!waiter.is_woken());
    assert_pending!(waiter.poll());
    drop(other);
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn an_empty_service_that_serves_is_not_drained() {
    let handle = DrainHandle::new();
    drop(handle.try_guard().unwrap());
    let mut waiter = spawn(handle.wait_for_drain(Duration::ZERO));
    assert_pending!(waiter.poll());
    handle.begin_lame_duck();
    assert_pending!(waiter.poll());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_made_after_the_end_returns_at_once() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    advance(SECOND).await;
    drop(guard);
    advance(SECOND).await;
    for timeout in [Duration::ZERO, SECOND, Duration::MAX] {
        let report = assert_ready!(spawn(handle.wait_for_drain(timeout)).poll()).unwrap();
        assert_eq!(
            (report.waited, report.in_flight_at_start),
            (Duration::ZERO, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_at_the_begin_for_a_waiter_made_before() {
    let (handle, _guard) = held();
    let mut waiter = spawn(handle.wait_for_drain(10 * SECOND));
    assert_pending!(waiter.poll());
    advance(100 * SECOND).await;
    handle.begin_lame_duck();
    advance(100 * SECOND).await;
    handle.begin_shutdown();
    assert_pending!(waiter.poll());
    advance(9 * SECOND).await;
    assert_pending!(waiter.poll());
    advance(SECOND).await;
    assert!(waiter.is_woken());
    assert_eq!(timed_out(&mut waiter), (1, 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_at_the_call_for_a_waiter_made_while_draining() {
    let (handle, _guard) = held();
    handle.begin_shutdown();
    advance(100 * SECOND).await;
    let mut waiter = spawn(handle.wait_for_drain(10 * SECOND));
    advance(9 * SECOND).await;
    assert_pending!(waiter.poll());
    advance(SECOND).await;
    assert_eq!(timed_out(&mut waiter), (1, 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_clock_never_starts_at_the_first_poll() {
    let (handle, _guard) = held();
    let mut before = spawn(handle.wait_for_drain(10 * SECOND));
    handle.begin_shutdown();
    let mut after = spawn(handle.wait_for_drain(10 * SECOND));
    advance(10 * SECOND).await;
    assert_eq!(timed_out(&mut before), (1, 10 * SECOND));
    assert_eq!(timed_out(&mut after), (1, 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn each_waiter_has_a_clock_of_its_own() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut short = spawn(handle.wait_for_drain(SECOND));
    let mut long = spawn(handle.wait_for_drain(10 * SECOND));
    assert_pending!(short.poll());
    assert_pending!(long.poll());
    advance(SECOND).await;
    assert_eq!(timed_out(&mut short).0, 1);
    assert_pending!(long.poll());
    drop(guard);
    assert_eq!(assert_ready!(long.poll()).unwrap().waited, SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_is_a_timeout_while_something_is_in_flight() {
    let (handle, _guard) = held();
    handle.begin_shutdown();
    assert_eq!(
        timed_out(&mut spawn(handle.wait_for_drain(Duration::ZERO))),
        (1, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn no_limit_and_limits_beyond_the_clock_wait_for_years() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut waiters = [
        Duration::MAX,
        Duration::MAX - SECOND,
        1_000_000_000 * SECOND,
    ]
    .map(|timeout| spawn(handle.wait_for_drain(timeout)));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    advance(3 * 365 * 86_400 * SECOND).await;
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(guard);
    for waiter in &mut waiters {
        assert_ready!(waiter.poll()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_ends_with_its_time_is_drained() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut waiter = spawn(handle.wait_for_drain(SECOND));
    assert_pending!(waiter.poll());
    advance(SECOND).await;
    drop(guard);
    assert_eq!(assert_ready!(waiter.poll()).unwrap().waited, SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_drain_returns_when_the_last_is_gone_not_when_the_time_is_over() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let waiting = tokio::spawn(handle.wait_for_drain(3_600 * SECOND));
    tokio::time::sleep(2 * SECOND).await;
    drop(guard);
    let started = tokio::time::Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap().waited, 2 * SECOND);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_leaves_the_drain_on_and_the_next_wait_may_see_its_end() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    assert!(handle.wait_for_drain(SECOND).await.is_err());
    assert!(handle.is_draining());
    drop(guard);
    assert!(handle.wait_for_drain(SECOND).await.is_ok());
}

#[test]
fn a_waiter_between_a_resume_and_the_next_begin_waits_for_the_next_drain() {
    let (handle, guard) = held();
    let nonce = handle.begin_shutdown_because("a try".into()).unwrap();
    handle.resume(nonce).unwrap();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    handle.begin_shutdown();
    assert_pending!(waiter.poll());
    drop(guard);
    assert!(waiter.is_woken());
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn a_waiter_that_is_dropped_takes_nothing_from_the_others() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut dropped = spawn(handle.wait_for_drain(Duration::MAX));
    let mut kept = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(dropped.poll());
    assert_pending!(kept.poll());
    drop(dropped);
    drop(guard);
    assert!(kept.is_woken());
    assert_ready!(kept.poll()).unwrap();
}

#[test]
fn a_waiter_goes_on_when_every_handle_is_gone() {
    let (handle, guard) = held();
    handle.begin_shutdown();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    drop(handle);
    drop(guard);
    assert!(waiter.is_woken());
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn a_report_belongs_to_every_waiter_alike() {
    let (handle, guard) = held();
    let mut waiters = [(); 2].map(|()| spawn(handle.wait_for_drain(Duration::MAX)));
    handle.begin_shutdown();
    drop(guard);
    let [first, second] = &mut waiters;
    let report = assert_ready!(first.poll());
    assert_ready_eq!(second.poll(), report);
}
