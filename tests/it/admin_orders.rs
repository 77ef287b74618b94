//! `POST /drain` and `POST /ready`: what they do.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tower_drain::{DrainHandle, DrainNonce, DrainReason, Phase, DEFAULT_TTL};

use crate::admin_support::{admin, order, post, ready, said};

#[test]
fn every_field_of_drain_may_be_left_out_or_null_and_so_may_the_body() {
    for body in [
        "",
        "  \r\n",
        "{}",
        " {} ",
        r#"{"reason":null,"ttl_s":null,"then":null}"#,
        r#"{"reason":"  "}"#,
    ] {
        let handle = DrainHandle::new();
        let answer = said(&admin(&handle), post("/drain", body));
        assert_eq!(Some(answer.nonce()), handle.nonce(), "{body}");
        let expected = (Phase::LameDuck, Some(DrainReason::Requested));
        assert_eq!((handle.phase(), handle.reason()), expected, "{body}");
        let ttl = handle.snapshot().remaining().unwrap();
        assert!(
            DEFAULT_TTL - Duration::from_secs(5) < ttl && ttl <= DEFAULT_TTL,
            "{ttl:?}"
        );
    }
}

#[test]
fn drain_answers_with_the_nonce_and_nothing_else() {
    let handle = DrainHandle::new();
    let answer = said(
        &admin(&handle),
        post(
            "/drain",
            r#"{"reason":"a deploy","ttl_s":60,"then":"stay"}"#,
        ),
    );
    let nonce = handle.nonce().unwrap().as_u64();
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "nonce": nonce }))
    );
    assert_eq!(
        handle.reason(),
        Some(DrainReason::from(String::from("a deploy")))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn a_lame_duck_by_hand_goes_on_serving() {
    let handle = DrainHandle::new();
    said(&admin(&handle), post("/drain", ""));
    assert!(handle.try_guard().is_ok() && !handle.is_draining());
}

#[test]
fn ready_takes_the_drain_back_with_its_nonce() {
    let handle = DrainHandle::new();
    let nonce = said(&admin(&handle), post("/drain", "{}")).nonce();
    let answer = said(&admin(&handle), ready(nonce));
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "phase": "serving" }))
    );
    assert_eq!((handle.phase(), handle.nonce()), (Phase::Serving, None));
}

#[test]
fn a_stale_nonce_is_409_and_changes_nothing() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let first = said(&service, post("/drain", "")).nonce();
    said(&service, ready(first));
    let none_is_on = said(&service, ready(first));
    assert_eq!(
        (none_is_on.status.as_u16(), &none_is_on.json()["phase"]),
        (409, &json!("serving"))
    );

    let second = said(&service, post("/drain", "")).nonce();
    for stale in [
        first,
        DrainNonce::from_u64(1),
        DrainNonce::from_u64((1 << 53) - 1),
    ] {
        let answer = said(&service, ready(stale));
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["phase"]),
            (409, &json!("lame_duck"))
        );
        assert!(answer.error().contains("stale"));
        assert_eq!(
            (handle.phase(), handle.nonce()),
            (Phase::LameDuck, Some(second))
        );
    }
}

#[test]
fn a_sealed_drain_is_409_and_stays() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let nonce = said(&service, post("/drain", "")).nonce();
    handle.seal();
    let answer = said(&service, ready(nonce));
    assert_eq!(answer.status, 409);
    assert!(answer.error().contains("sealed"));
    assert_eq!(handle.nonce(), Some(nonce));
}

#[test]
fn a_second_drain_is_409_and_neither_tells_the_nonce_nor_changes_the_first() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let nonce = said(
        &service,
        post("/drain", r#"{"reason":"the first","ttl_s":60}"#),
    )
    .nonce();
    let before = handle.snapshot().remaining().unwrap();
    let answer = said(
        &service,
        post("/drain", r#"{"reason":"the second","ttl_s":600}"#),
    );
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["phase"]),
        (409, &json!("lame_duck"))
    );
    assert!(!answer.error().contains(&nonce.to_string()));
    assert_eq!(handle.nonce(), Some(nonce));
    assert_eq!(handle.reason(), Some(DrainReason::from("the first")));
    assert!(handle.snapshot().remaining().unwrap() <= before);
    assert_eq!(said(&service, ready(nonce)).status, 200);
}

#[test]
fn a_handle_that_is_sealed_while_it_serves_takes_no_drain_that_could_not_be_lifted() {
    let handle = DrainHandle::new();
    handle.seal();
    let answer = said(&admin(&handle), post("/drain", ""));
    assert_eq!(
        (answer.status.as_u16(), handle.phase()),
        (409, Phase::Serving)
    );
}

#[test]
fn a_bad_value_is_400_that_names_the_field_and_changes_nothing() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    for (body, names) in [
        (r#"{"ttl_s":0}"#, "ttl_s"),
        (r#"{"ttl_s":0.0004}"#, "ttl_s"),
        (r#"{"ttl_s":-1}"#, "ttl_s"),
        (r#"{"ttl_s":31536001}"#, "ttl_s"),
        (r#"{"ttl_s":1e300}"#, "ttl_s"),
        (r#"{"ttl_s":1e999}"#, "ttl_s"),
        (r#"{"ttl_s":"60"}"#, "ttl_s"),
        (r#"{"ttl_s":true}"#, "ttl_s"),
        (r#"{"ttl_s":[60]}"#, "ttl_s"),
        (r#"{"reason":7}"#, "reason"),
        (r#"{"reason":["a"]}"#, "reason"),
        (r#"{"reason":"a\nforged line"}"#, "reason"),
        (r#"{"reason":"\u001b[2J"}"#, "reason"),
        (r#"{"then":"reboot"}"#, "then"),
        (r#"{"then":"Exit"}"#, "then"),
        (r#"{"then":1}"#, "then"),
        (r#"{"then":{"exit":null}}"#, "then"),
        (r#"{"ttl":60}"#, "`ttl`"),
        (r#"{"reason":"a","nonce":1}"#, "nonce"),
        (r#"{"reason":"a","reason":"b"}"#, "reason"),
    ] {
        let answer = said(&service, post("/drain", body));
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.error().contains(names), "{body}: {}", answer.error());
        assert_eq!(handle.phase(), Phase::Serving, "{body}");
    }
}

#[test]
fn what_is_not_one_json_object_is_400() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let nonce = said(&service, post("/drain", "")).nonce();
    let deep = "{\"reason\":".repeat(3_000);
    let listed = format!("[{nonce}]");
    for body in [
        "[]",
        "null",
        "0",
        "\"stay\"",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{\"reason\"",
        "reason=a",
        "\u{feff}{}",
        &deep,
        &listed,
    ] {
        for path in ["/drain", "/ready"] {
            let answer = said(&service, post(path, body.to_owned()));
            assert_eq!(answer.status, 400, "{path} {body:.40}");
            answer.error();
        }
    }
    assert_eq!(said(&service, post("/ready", "")).status, 400);
    assert_eq!(handle.nonce(), Some(nonce));
}

#[test]
fn other_paths_are_404_and_other_methods_405() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    for path in [
        "/",
        "/drain/",
        "/admin/drain",
        "/DRAIN",
        "/drain%20",
        "//drain",
        "/readyz",
    ] {
        let answer = said(&service, post(path, "{}"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains("/drain"));
    }
    for (method, path, allowed) in [
        (Method::GET, "/drain", "POST"),
        (Method::HEAD, "/drain", "POST"),
        (Method::PUT, "/ready", "POST"),
        (Method::OPTIONS, "/ready", "POST"),
        (Method::POST, "/drain-status", "GET, HEAD"),
        (Method::DELETE, "/drain-status", "GET, HEAD"),
    ] {
        let answer = said(&service, order(method.clone(), path, "{}"));
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, allowed),
            "{method} {path}"
        );
    }
    assert_eq!(handle.phase(), Phase::Serving);
}

#[test]
fn the_query_says_nothing() {
    let handle = DrainHandle::new();
    said(&admin(&handle), post("/drain?then=exit", "")).nonce();
    assert!(handle.seal(), "an exit would have sealed it");
}

#[test]
fn from_the_drain_on_the_connection_of_the_answer_is_closed() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let status = said(&service, order(Method::GET, "/drain-status", ""));
    assert_eq!(status.header("connection"), "");
    let drain = said(&service, post("/drain", ""));
    assert_eq!(drain.header("connection"), "close");
    let refused = said(&service, post("/drain", ""));
    assert_eq!(refused.header("connection"), "close");
    let ready = said(&service, ready(drain.nonce()));
    assert_eq!(ready.header("connection"), "");
}
