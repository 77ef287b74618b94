//! Any order from anybody: it is obeyed with a 200, or refused with a 4xx that says why and has changed nothing.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;
use tower_drain::{Admin, DrainHandle, DrainReason, Phase};

const TOKEN: &str = "a-token";

/// The first byte says who asks, how and where, in five bits; the rest is the body. With a drain on, its nonce stands
/// for every `$`.
pub(crate) fn fuzz(input: &[u8]) {
    let Some((&head, body)) = input.split_first() else {
        return;
    };
    let handle = DrainHandle::new();
    let is_on = head & 1 != 0;
    let nonce = is_on
        .then(|| handle.begin_lame_duck_because(DrainReason::Requested))
        .flatten();
    let body = nonce.map_or(body.to_vec(), |nonce| with_nonce(body, nonce.as_u64()));
    let is_allowed = head & 6 != 0;
    let path = ["/drain", "/ready", "/drain-status", "/"][usize::from(head >> 3 & 3)];

    let mut request = Request::builder().method(Method::POST).uri(path);
    if is_allowed {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    let request = request.body(Full::new(Bytes::from(body.clone())));
    let before = (handle.phase(), handle.nonce());
    let (status, said) = answer(&handle, request.expect("it is valid"));
    match status {
        200 => {
            assert!(is_allowed && ["/drain", "/ready"].contains(&path), "{path}");
            let is_order = serde_json::from_slice::<Value>(&body).is_ok_and(|it| !it.is_array());
            assert!(is_order || body.trim_ascii().is_empty(), "{said}");
            match path {
                "/ready" => assert_eq!(handle.phase(), Phase::Serving),
                _ => assert_eq!(said["nonce"].as_u64(), told(&handle, before.1.is_some())),
            }
        }
        401 => assert!(!is_allowed),
        400..=499 => assert!(is_allowed),
        other => panic!("{other}: {said}"),
    }
    if status != 200 {
        assert!(said["error"].is_string(), "{said}");
        assert_eq!((handle.phase(), handle.nonce()), before);
        assert!(handle.seal(), "it was sealed");
    }
    // A body may name it, as a field that is not known.
    let is_named = String::from_utf8_lossy(&body).contains(TOKEN);
    assert!(is_named || !said.to_string().contains(TOKEN));
}

/// The nonce that an order to drain is told; none if it joined a drain that was on.
fn told(handle: &DrainHandle, joined: bool) -> Option<u64> {
    assert_ne!(handle.phase(), Phase::Serving);
    let nonce = handle.nonce().expect("a drain is on");
    (!joined).then(|| nonce.as_u64())
}

fn with_nonce(body: &[u8], nonce: u64) -> Vec<u8> {
    let nonce = nonce.to_string();
    let parts: Vec<_> = body.split(|&byte| byte == b'$').collect();
    parts.join(nonce.as_bytes())
}

/// On a clock that stands still: a drain's own time to live must not end it here.
fn answer(handle: &DrainHandle, request: Request<Full<Bytes>>) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let admin = Admin::new(handle.clone(), TOKEN).expect("a token");
        let asked = tokio::time::timeout(Duration::from_secs(60), admin.oneshot(request));
        let response = asked.await.expect("it answers").expect("it never fails");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.expect("it is whole").to_bytes();
        (status, serde_json::from_slice(&body).expect("it is JSON"))
    })
}
