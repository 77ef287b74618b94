//! What is read of a snapshot that another version wrote, or a person.

use serde_json::json;
use tower_drain::{DrainHandle, DrainNonce, DrainReason, DrainSnapshot, Phase};

use crate::admin_snapshot::{read, restarted, unix_ms, MINUTE};

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
