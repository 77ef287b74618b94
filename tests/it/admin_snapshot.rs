//! A drain carried over a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};
use tokio::time::{advance, sleep};
use tower_drain::{DrainHandle, DrainLayer, DrainNonce, DrainReason, DrainSnapshot, Phase};

use crate::support::{get, App};

const MINUTE: Duration = Duration::from_secs(60);

fn written(handle: &DrainHandle) -> Value {
    serde_json::to_value(handle.snapshot()).unwrap()
}

/// What the next process makes of it.
fn restarted(handle: &DrainHandle) -> DrainHandle {
    let kept = serde_json::to_string(&handle.snapshot()).unwrap();
    DrainHandle::restore(serde_json::from_str(&kept).unwrap())
}

fn read(json: Value) -> Result<DrainSnapshot, String> {
    serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())
}

fn unix_ms() -> u64 {
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
fn an_older_or_newer_process_is_understood_where_the_meaning_is_clear() {
    let older = read(json!({ "phase": "draining", "nonce": 7 })).unwrap();
    assert_eq!(older.reason(), Some(&DrainReason::Requested));
    let newer = read(json!({ "phase": "draining", "nonce": 7, "colour": "green" })).unwrap();
    assert_eq!(newer, older);
}

/// What it says of the reason is told in logs and status: one line, and readable.
#[test]
fn a_reason_that_a_later_version_has_keeps_the_drain_and_its_words() {
    for (reason, told) in [
        (json!("disk_full"), "disk_full"),
        (json!({ "disk_full": null }), "disk_full"),
        (
            json!({ "incident": "DB-7\nforged" }),
            r#"incident: "DB-7\nforged""#,
        ),
        (
            json!({ "disk_full": { "free": 12 } }),
            r#"disk_full: {"free":12}"#,
        ),
        (json!({ "moved": ["a", "b"] }), r#"moved: ["a","b"]"#),
        (json!({ "failed": 3 }), "failed: 3"),
        // A known one that has come to hold something else.
        (
            json!({ "signal": { "number": 15 } }),
            r#"signal: {"number":15}"#,
        ),
        (
            json!({ "connectivity_lost": "db" }),
            r#"connectivity_lost: "db""#,
        ),
        (
            json!({ "connectivity_lost": { "failures": -1, "last_error": "" } }),
            r#"connectivity_lost: {"failures":-1,"last_error":""}"#,
        ),
        (
            json!({ "kind": "a", "of": "b" }),
            r#"{"kind":"a","of":"b"}"#,
        ),
        (json!(7), "7"),
    ] {
        let until = unix_ms() + 3_600_000;
        let snapshot = read(json!({
            "phase": "draining", "nonce": 7, "reason": reason, "remaining_ms": 3_600_000, "until_unix_ms": until,
        }));
        let snapshot = snapshot.unwrap();
        assert_eq!(snapshot.reason(), Some(&DrainReason::from(told.to_owned())));
        let handle = DrainHandle::restore(snapshot);
        let nonce = DrainNonce::from_u64(7);
        assert_eq!((handle.nonce(), handle.is_draining()), (Some(nonce), true));
        assert!(handle.status().lifts_in.unwrap() > 59 * MINUTE);
        assert_eq!(restarted(&handle).reason(), Some(told.to_owned().into()));
        assert_eq!(
            serde_json::from_value::<DrainReason>(reason).unwrap(),
            told.to_owned().into()
        );
    }
}

#[test]
fn what_a_later_version_adds_to_a_reason_is_skipped() {
    let newer =
        json!({ "connectivity_lost": { "failures": 2, "last_error": "refused", "host": "db" } });
    let reason = DrainReason::ConnectivityLost {
        failures: 2,
        last_error: "refused".into(),
    };
    assert_eq!(
        serde_json::from_value::<DrainReason>(newer).unwrap(),
        reason
    );
}

/// Rejecting is what can be taken back: a service that took work up by mistake could not.
#[test]
fn a_phase_that_a_later_version_has_rejects_until_it_is_taken_back() {
    for phase in [json!("asleep"), json!({ "asleep": { "until": 8 } })] {
        let snapshot = read(json!({ "phase": phase, "nonce": 7, "reason": "requested" })).unwrap();
        assert_eq!(snapshot.phase(), Phase::Draining);
        let handle = DrainHandle::restore(snapshot);
        assert!(handle.try_guard().is_err());
        handle.resume(DrainNonce::from_u64(7)).unwrap();
    }
}

#[test]
fn times_may_be_written_as_any_number_that_is_whole() {
    let until = unix_ms() + 60_000;
    let written = format!(
        r#"{{"phase":"lame_duck","nonce":7.0,"remaining_ms":6.0e4,"until_unix_ms":{until}.0}}"#
    );
    let snapshot: DrainSnapshot = serde_json::from_str(&written).unwrap();
    let left = snapshot.remaining().unwrap();
    assert!(MINUTE / 2 < left && left <= MINUTE, "{left:?}");
}

#[test]
fn what_was_tampered_with_is_an_error_that_says_what_is_wrong() {
    for (json, names) in [
        (
            json!({ "phase": "lame_duck", "nonce": 0 }),
            "from 1 to 9007199254740991",
        ),
        (
            json!({ "phase": "lame_duck", "nonce": 1_u64 << 53 }),
            "9007199254740992",
        ),
        (json!({ "phase": "lame_duck", "nonce": -1 }), "-1"),
        (json!({ "phase": "lame_duck", "nonce": "7" }), "string"),
        (json!({ "phase": "lame_duck" }), "`nonce` is missing"),
        (json!({ "phase": "serving", "nonce": 7 }), "serving"),
        (json!({ "phase": "asleep" }), "`nonce` is missing"),
        (json!({ "phase": 2, "nonce": 7 }), "2"),
        (json!({ "phase": null, "nonce": 7 }), "phase"),
        (json!({ "phase": "lame_duck", "nonce": 7.5 }), "7.5"),
        (json!({ "nonce": 7 }), "phase"),
        (
            json!({ "phase": "lame_duck", "nonce": 7, "remaining_ms": 1 }),
            "need each other",
        ),
        (
            json!({ "phase": "lame_duck", "nonce": 7, "until_unix_ms": 1 }),
            "need each other",
        ),
        (
            json!({ "phase": "lame_duck", "nonce": 7, "remaining_ms": -1, "until_unix_ms": 1 }),
            "-1",
        ),
        (
            json!({ "phase": "lame_duck", "nonce": 7, "remaining_ms": 1.5, "until_unix_ms": 1 }),
            "1.5",
        ),
        (json!(null), "null"),
    ] {
        let error = read(json.clone()).unwrap_err();
        assert!(error.contains(names), "{json}: {error}");
    }
}

#[test]
fn the_longest_times_that_can_be_written_are_no_panic() {
    let written = json!({ "phase": "drained", "nonce": 7, "remaining_ms": u64::MAX, "until_unix_ms": u64::MAX });
    let next = DrainHandle::restore(read(written).unwrap());
    assert_eq!(next.nonce(), Some(DrainNonce::from_u64(7)));
    let again = restarted(&next);
    assert_eq!(again.phase(), Phase::Drained);
}
