//! The status as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};
use tower_drain::{DrainHandle, DrainReason};

use crate::admin_support::{admin, order, plain, said};
use crate::support::{get, App};

fn status(handle: &DrainHandle) -> Value {
    let said = said(&handle.status_service(), plain("GET", "/drain-status"));
    assert_eq!(said.status, 200);
    said.json()
}

#[test]
fn phase_and_in_flight_are_at_the_top_in_every_phase() {
    let handle = DrainHandle::new();
    let look = |phase, in_flight| {
        let status = status(&handle);
        assert_eq!(
            (&status["phase"], &status["in_flight"]),
            (&json!(phase), &json!(in_flight))
        );
    };
    look("serving", 0);
    handle.begin_lame_duck();
    let guard = handle.try_guard().unwrap();
    look("lame_duck", 1);
    handle.begin_shutdown();
    look("draining", 1);
    drop(guard);
    look("drained", 0);
}

#[test]
fn it_has_these_fields_and_no_others() {
    let handle = DrainHandle::new();
    let mut serving = status(&handle);
    let since = serving["since"].take();
    assert!(since.is_number());
    let expected = json!({
        "phase": "serving", "in_flight": 0, "rejected": 0, "reason": null, "since": null, "lifts_in_s": null,
    });
    assert_eq!(serving, expected);
}

#[test]
fn it_tells_the_reason_how_many_were_rejected_and_since_when() {
    let mut app = App::new();
    let before = SystemTime::now();
    let reason = DrainReason::ConnectivityLost {
        failures: 2,
        last_error: "refused".into(),
    };
    app.handle.begin_shutdown_because(reason);
    drop(app.answer(get("/")));
    let status = status(&app.handle);
    assert_eq!(
        status["reason"],
        "connectivity lost after 2 failures: refused"
    );
    assert_eq!(status["rejected"], 1);
    let since = UNIX_EPOCH + Duration::from_secs_f64(status["since"].as_f64().unwrap());
    // It is told to the millisecond.
    let slack = Duration::from_millis(1);
    assert!(before - slack <= since && since <= SystemTime::now());
}

#[tokio::test(start_paused = true)]
async fn it_tells_how_long_until_the_drain_lifts_itself() {
    let handle = DrainHandle::new();
    handle.begin_lame_duck_for(Duration::from_secs(60), "a try".into());
    assert_eq!(status(&handle)["lifts_in_s"], 60.0);
    tokio::time::advance(Duration::from_millis(12_500)).await;
    assert_eq!(status(&handle)["lifts_in_s"], 47.5);
}

#[test]
fn stragglers_are_told_only_where_details_are_wanted_and_never_a_query() {
    let mut app = App::new();
    let (_opened, _call) = app.open(get("/export?secret=1"));
    let _guard = app.handle.try_guard_as("a job").unwrap();
    let brief = said(&app.handle.status_service(), plain("GET", "/"));
    let text = String::from_utf8(brief.body.to_vec()).unwrap();
    assert!(!text.contains("export") && !text.contains("stragglers") && !text.contains("a job"));

    let detailed = said(&app.handle.status_service().detailed(), plain("GET", "/"));
    let text = String::from_utf8(detailed.body.to_vec()).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let mut listed = detailed.json()["stragglers"].take();
    for straggler in listed.as_array_mut().unwrap() {
        assert!(straggler["id"].take().is_u64());
        assert!(straggler["age_s"].take().is_f64());
    }
    let expected = json!([
        {"id": null, "method": "GET", "path": "/export", "label": null, "age_s": null, "phase": "handler"},
        {"id": null, "method": null, "path": null, "label": "a job", "age_s": null, "phase": "guard"},
    ]);
    assert_eq!(listed, expected);
}

#[test]
fn no_more_than_a_hundred_are_listed() {
    let handle = DrainHandle::new();
    let guards: Vec<_> = (0..101).map(|_| handle.try_guard().unwrap()).collect();
    let detailed = said(&handle.status_service().detailed(), plain("GET", "/")).json();
    assert_eq!(detailed["stragglers"].as_array().unwrap().len(), 100);
    assert_eq!(detailed["in_flight"], 101);
    drop(guards);
}

#[test]
fn the_nonce_is_in_no_status() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    for service in [handle.status_service(), handle.status_service().detailed()] {
        let text = said(&service, plain("GET", "/")).body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(!text.contains(&nonce.to_string()), "{text}");
    }
}

#[test]
fn the_administration_tells_the_same_status_with_details_where_they_are_wanted() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard_as("a job").unwrap();
    let asked = || order(http::Method::GET, "/drain-status", "");
    let brief = said(&admin(&handle), asked());
    assert_eq!(brief.json(), status(&handle));
    let detailed = said(&admin(&handle).detailed(), asked());
    assert_eq!(detailed.json()["stragglers"][0]["label"], "a job");
}
