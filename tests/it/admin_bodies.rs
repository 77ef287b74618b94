//! Bodies of orders: bounded, typed, in time, and whatever their head says of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::{Body, Frame};
use tokio::time::{advance, timeout, Instant};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::Service;
use tower_drain::{Admin, DrainHandle, Phase};

use crate::admin_support::{admin, ask, post, said, Said, TOKEN};
use crate::support::{Script, TestBody};

const LIMIT: usize = 64 * 1024;

/// An order to drain that is so long.
fn padded(len: usize) -> Vec<u8> {
    let mut body = b"{\"reason\":\"a deploy\"}".to_vec();
    body.resize(len, b' ');
    body
}

fn scripted(script: &Script, headers: &[(&str, &str)]) -> Request<TestBody> {
    let mut request = Request::post("/drain").header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(script.body()).unwrap()
}

fn with(headers: &[(&str, &str)], body: &'static str) -> (Said, Phase) {
    let handle = DrainHandle::new();
    let answer = said(
        &admin(&handle),
        scripted(Script::new().data(body).close(), headers),
    );
    (answer, handle.phase())
}

#[test]
fn up_to_64_kib_are_read_and_a_byte_more_is_413() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    for len in [LIMIT + 1, LIMIT + 2, 2 * LIMIT, 100 * LIMIT] {
        let answer = said(&service, post("/drain", padded(len)));
        assert_eq!(
            (answer.status.as_u16(), handle.phase()),
            (413, Phase::Serving),
            "{len}"
        );
        assert!(answer.error().contains("65536"));
    }
    assert_eq!(said(&service, post("/drain", padded(LIMIT))).status, 200);
}

/// Counts what is asked of it, and never ends.
struct Endless {
    frames: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024])))))
    }
}

#[test]
fn a_body_without_an_end_is_read_a_little_further_and_then_413() {
    let handle = DrainHandle::new();
    let frames = std::sync::Arc::default();
    let body = Endless {
        frames: std::sync::Arc::clone(&frames),
    };
    let request = Request::post("/drain")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(body);
    let answer = said(&admin(&handle), request.unwrap());
    assert_eq!(
        (answer.status.as_u16(), handle.phase()),
        (413, Phase::Serving)
    );
    let read = frames.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read, 64 + 1024 + 1);
}

#[test]
fn a_peer_that_waits_to_be_asked_for_too_much_is_answered_unread() {
    let handle = DrainHandle::new();
    let script = Script::new();
    let headers = [("content-length", "65537"), ("expect", "100-continue")];
    let answer = said(&admin(&handle), scripted(&script, &headers));
    assert_eq!((answer.status.as_u16(), script.polls()), (413, 0));
}

#[test]
fn a_length_that_is_not_that_of_the_body_is_400() {
    for length in ["0", "1", "3", "65536"] {
        let (answer, phase) = with(&[("content-length", length)], "{}");
        assert_eq!(
            (answer.status.as_u16(), phase),
            (400, Phase::Serving),
            "{length}"
        );
        assert!(answer.error().contains(length), "{}", answer.error());
    }
    assert_eq!(with(&[("content-length", "2")], "{}").0.status, 200);
}

#[test]
fn a_length_that_lies_low_does_not_let_more_in() {
    let handle = DrainHandle::new();
    let mut request = post("/drain", padded(LIMIT + 1));
    request
        .headers_mut()
        .insert("content-length", HeaderValue::from_static("2"));
    assert_eq!(said(&admin(&handle), request).status, 413);
}

#[test]
fn a_length_that_is_no_number_is_400() {
    for length in [
        "",
        "-1",
        "+2",
        "2.0",
        "0x2",
        "two",
        "2, 2",
        "99999999999999999999999",
    ] {
        let (answer, phase) = with(&[("content-length", length)], "{}");
        assert_eq!(
            (answer.status.as_u16(), phase),
            (400, Phase::Serving),
            "{length}"
        );
        assert!(answer.error().contains("content-length"));
    }
}

#[test]
fn json_by_any_name_and_the_type_that_curl_sends_are_taken() {
    for content_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
    ] {
        let (answer, phase) = with(&[("content-type", content_type)], "{}");
        assert_eq!(
            (answer.status.as_u16(), phase),
            (200, Phase::LameDuck),
            "{content_type}"
        );
    }
}

#[test]
fn another_type_or_a_coding_is_415_and_named() {
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "application/jsonx"),
        ("content-type", "application/"),
        ("content-type", "text/x+json"),
        ("content-type", ""),
        ("content-type", "a, application/json"),
        ("content-encoding", "gzip"),
        ("content-encoding", ""),
    ] {
        let (answer, phase) = with(&[(name, value)], "{}");
        assert_eq!(
            (answer.status.as_u16(), phase),
            (415, Phase::Serving),
            "{name}: {value}"
        );
        let error = answer.error();
        assert!(error.contains(name) && error.contains(value), "{error}");
    }
    assert_eq!(
        with(&[("content-encoding", "identity")], "{}").0.status,
        200
    );
}

#[test]
fn a_header_that_is_there_twice_is_400() {
    for name in ["content-type", "content-length", "content-encoding"] {
        let (answer, _) = with(&[(name, "2"), (name, "2")], "{}");
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(name));
    }
}

#[test]
fn a_body_that_breaks_off_is_400_and_changes_nothing() {
    let handle = DrainHandle::new();
    let script = Script::new();
    script.data("{}").error("connection lost");
    let answer = said(&admin(&handle), scripted(&script, &[]));
    assert_eq!(
        (answer.status.as_u16(), handle.phase()),
        (400, Phase::Serving)
    );
    assert!(answer.error().contains("connection lost"));
}

#[test]
fn a_body_may_come_in_pieces_and_with_trailers() {
    let handle = DrainHandle::new();
    let script = Script::new();
    script
        .data("{\"rea")
        .data("")
        .data("son\":\"a ")
        .data("deploy\"}");
    script
        .trailers(
            [("x", "y")]
                .map(|(name, value)| {
                    (
                        http::HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .into_iter()
                .collect(),
        )
        .close();
    assert_eq!(said(&admin(&handle), scripted(&script, &[])).status, 200);
    assert_eq!(handle.reason().unwrap().to_string(), "a deploy");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_within_10_s_is_408_and_changes_nothing() {
    let handle = DrainHandle::new();
    let script = Script::new();
    script.data("{}");
    let from = Instant::now();
    let answer = ask(&admin(&handle), scripted(&script, &[])).await;
    assert_eq!(
        (answer.status.as_u16(), handle.phase()),
        (408, Phase::Serving)
    );
    assert_eq!(from.elapsed(), Duration::from_secs(10));
    assert!(answer.error().contains("10 s"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_has_10_s_in_all() {
    let handle = DrainHandle::new();
    let script = Script::new();
    let mut service = admin(&handle);
    let mut reading = spawn(service.call(scripted(&script, &[])));
    for _ in 0..9 {
        assert_pending!(reading.poll());
        advance(Duration::from_secs(1)).await;
        script.data(" ");
        assert!(reading.is_woken());
    }
    assert_pending!(reading.poll());
    advance(Duration::from_secs(1)).await;
    assert_eq!(assert_ready!(reading.poll()).unwrap().status(), 408);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_in_the_middle_has_changed_nothing() {
    let handle = DrainHandle::new();
    let script = Script::new();
    script.data("{\"then\":\"stay\"}");
    let service: Admin = admin(&handle);
    let left = timeout(
        Duration::from_secs(1),
        ask(&service, scripted(&script, &[])),
    )
    .await;
    assert!(left.is_err());
    script.close();
    assert_eq!((handle.phase(), handle.nonce()), (Phase::Serving, None));
}

#[test]
fn a_future_that_is_never_polled_has_changed_nothing() {
    let handle = DrainHandle::new();
    drop(admin(&handle).call(post("/drain", "{}")));
    assert_eq!(handle.phase(), Phase::Serving);
}
