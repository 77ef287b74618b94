//! A drain carried over a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};
use tokio::time::{advance, sleep};
use tower_drain::{DrainHandle, DrainLayer, DrainNonce, DrainReason, DrainSnapshot, Phase};

use crate::support::{get, App};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn written(handle: &DrainHandle) -> Value {
    serde_json::to_value(handle.snapshot()).unwrap()
}

/// What the next process makes of it.
pub(crate) fn restarted(handle: &DrainHandle) -> DrainHandle {
    let kept = serde_json::to_string(&handle.snapshot()).unwrap();
    DrainHandle::restore(serde_json::from_str(&kept).unwrap())
}

pub(crate) fn read(json: Value) -> Result<DrainSnapshot, String> {
    serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

#[test]
fn a_restart_keeps_phase_nonce_and_every_kind_of_reason() {
    for reason in [
        DrainReason::Requested,
        DrainReason::Goodbye,
        DrainReason::Signal("SIGTERM".into()),
        DrainReason::from("a deploy"),
        DrainReason::ConnectivityLost {
            failures: 2,
            last_error: "refused".into(),
        },
    ] {
        let handle = DrainHandle::new();
        let nonce = handle.begin_lame_duck_because(reason.clone());
        let next = restarted(&handle);
        let kept = (next.phase(), next.nonce(), next.reason());
        assert_eq!(kept, (Phase::LameDuck, nonce, Some(reason)));
        assert!(next.try_guard().is_ok());
        next.resume(nonce.unwrap()).unwrap();
    }
}

#[test]
fn a_drain_that_rejected_rejects_after_the_restart() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    let nonce = handle.begin_shutdown_because("a try".into());
    assert_eq!(written(&handle)["phase"], "draining");
    drop(guard);
    assert_eq!(written(&handle)["phase"], "drained");
    let next = restarted(&handle);
    assert!(next.try_guard().is_err());
    // Nothing is in flight there.
    assert_eq!((next.phase(), next.nonce()), (Phase::Drained, nonce));
}

#[test]
fn a_service_that_serves_serves_after_the_restart() {
    let handle = DrainHandle::new();
    assert_eq!(written(&handle), json!({ "phase": "serving" }));
    assert_eq!(restarted(&handle).phase(), Phase::Serving);
    let snapshot = handle.snapshot();
    let none = (
        snapshot.phase(),
        snapshot.nonce(),
        snapshot.reason(),
        snapshot.remaining(),
    );
    assert_eq!(none, (Phase::Serving, None, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_remaining_time() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck_for(15 * MINUTE, "a deploy".into());
    advance(5 * MINUTE).await;
    let next = restarted(&handle);
    sleep(Duration::from_secs(9 * 60 + 50)).await;
    assert_eq!(next.phase(), Phase::LameDuck);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(next.phase(), Phase::Serving);
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_a_time_to_live_has_none_after_the_restart() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck();
    let next = restarted(&handle);
    sleep(1_000_000 * MINUTE).await;
    assert_eq!(
        (next.phase(), next.status().lifts_in),
        (Phase::LameDuck, None)
    );
}

/// A snapshot of an hour's drain, taken `ago`.
fn aged(ago: Duration) -> DrainSnapshot {
    let hour = 3_600_000;
    let until = unix_ms() + hour - ago.as_millis() as u64;
    let written =
        json!({ "phase": "lame_duck", "nonce": 7, "remaining_ms": hour, "until_unix_ms": until });
    read(written).unwrap()
}

#[test]
fn time_goes_on_while_no_process_runs() {
    let left = aged(20 * MINUTE).remaining().unwrap();
    assert!(39 * MINUTE < left && left <= 40 * MINUTE, "{left:?}");
    let next = DrainHandle::restore(aged(20 * MINUTE));
    assert!(next.status().lifts_in.unwrap() <= 40 * MINUTE);
}

#[test]
fn a_drain_whose_time_was_over_while_no_process_ran_is_not_taken_up() {
    for ago in [60 * MINUTE, 24 * 60 * MINUTE] {
        assert_eq!(aged(ago).remaining(), Some(Duration::ZERO));
        let next = DrainHandle::restore(aged(ago));
        assert_eq!((next.phase(), next.nonce()), (Phase::Serving, None));
    }
}

/// Whatever the moment in which it is over.
#[test]
fn a_drain_that_rejected_and_whose_time_is_over_rejects_nobody_and_begins_none_anew() {
    for left in 0..20 {
        let until = unix_ms() + left;
        let written = json!({
            "phase": "draining", "nonce": 7, "remaining_ms": left, "until_unix_ms": until,
        });
        let handle = DrainHandle::restore(read(written).unwrap());
        let mut app = App::of(DrainLayer::from_handle(handle));
        if left == 0 {
            drop(app.open(get("/")));
        }
        let nonce = app.handle.nonce();
        assert!(nonce.is_none_or(|nonce| nonce.as_u64() == 7), "{nonce:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_a_drain() {
    let hour = 60 * MINUTE;
    let written = json!({
        "phase": "lame_duck", "nonce": 7, "remaining_ms": 3_600_000, "until_unix_ms": unix_ms() + 90_000_000,
    });
    assert_eq!(read(written).unwrap().remaining(), Some(hour));
}

#[test]
fn two_handles_from_one_snapshot_are_independent() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    let (one, other) = (restarted(&handle), restarted(&handle));
    one.resume(nonce).unwrap();
    assert_eq!(
        (one.phase(), other.phase(), handle.phase()),
        (Phase::Serving, Phase::LameDuck, Phase::LameDuck)
    );
    other.resume(nonce).unwrap();
}

#[test]
fn the_drain_that_ends_the_process_is_not_carried_into_the_next() {
    let handle = DrainHandle::new();
    handle.seal();
    handle.begin_shutdown_because(DrainReason::Signal("SIGTERM".into()));
    assert_eq!(written(&handle), json!({ "phase": "serving" }));
    assert_eq!(restarted(&handle).phase(), Phase::Serving);
}

#[test]
fn a_maintenance_that_a_shutdown_joins_is_carried_as_it_was_before() {
    let handle = DrainHandle::new();
    let nonce = handle
        .begin_lame_duck_for(60 * MINUTE, "maintenance".into())
        .unwrap();
    handle.seal();
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Drained);
    let next = restarted(&handle);
    assert_eq!((next.phase(), next.nonce()), (Phase::LameDuck, Some(nonce)));
    assert!(next.status().lifts_in.is_some());
    next.resume(nonce).unwrap();
}

#[test]
fn what_is_written_is_documented_and_read_again() {
    let handle = DrainHandle::new();
    let nonce = handle
        .begin_lame_duck_for(60 * MINUTE, "a deploy".into())
        .unwrap();
    let mut value = written(&handle);
    let snapshot = read(value.clone()).unwrap();
    assert_eq!(snapshot.nonce(), Some(nonce));
    assert_eq!(snapshot.reason(), Some(&DrainReason::from("a deploy")));
    let remaining = value["remaining_ms"].take().as_u64().unwrap();
    let until = value["until_unix_ms"].take().as_u64().unwrap();
    assert!(remaining <= 3_600_000 && until <= unix_ms() + 3_600_000);
    let expected = json!({
        "phase": "lame_duck", "nonce": nonce.as_u64(), "reason": {"other": "a deploy"},
        "remaining_ms": null, "until_unix_ms": null,
    });
    assert_eq!(value, expected);
}

#[test]
fn the_longest_times_that_can_be_written_are_no_panic() {
    let written = json!({ "phase": "drained", "nonce": 7, "remaining_ms": u64::MAX, "until_unix_ms": u64::MAX });
    let next = DrainHandle::restore(read(written).unwrap());
    assert_eq!(next.nonce(), Some(DrainNonce::from_u64(7)));
    let again = restarted(&next);
    assert_eq!(again.phase(), Phase::Drained);
}
