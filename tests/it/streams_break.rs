//! Streams that a policy breaks off.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{sleep, Instant};
use tokio_test::{assert_pending, task};
use tower_drain::{BreakError, DrainLayer, Goodbye, Phase, StreamPolicy};

use crate::streams_support::{frames, rest, send, serve, serve_to, Frames};

fn breaking() -> DrainLayer {
    DrainLayer::new()
        .stream_policy(|_| StreamPolicy::Break)
        .goodbye(Goodbye::event("goodbye"))
}

fn response(body: Frames, headers: &[(http::HeaderName, &'static str)]) -> Response<Frames> {
    let mut response = Response::new(body);
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_ends_in_an_error_wherever_it_is_and_however_it_is_encoded() {
    for headers in [
        &[][..],
        &[(CONTENT_TYPE, "application/json")],
        &[(CONTENT_TYPE, "text/event-stream")],
        &[(CONTENT_TYPE, "application/connect+json")],
        &[(CONTENT_ENCODING, "gzip")],
    ] {
        let layer = breaking();
        let (sender, body) = frames();
        let body = serve(&layer, response(body, headers)).await;
        send(&sender, "[1,");
        let mut body = task::spawn(body);
        assert!(body.enter(|cx, body| body.poll_frame(cx)).is_ready());
        assert_pending!(body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
        layer.handle().begin_shutdown();
        assert!(body.is_woken());
        let error = body.into_inner().collect().await.unwrap_err();
        assert!(error.is::<BreakError>(), "{headers:?}: {error}");
        assert_eq!(layer.handle().phase(), Phase::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_grpc_stream_ends_in_trailers() {
    let layer = breaking();
    let (_sender, body) = frames();
    let request = Request::post("/").header(CONTENT_TYPE, "application/grpc");
    let response = response(body, &[(CONTENT_TYPE, "application/grpc")]);
    let response = serve_to(&layer, request.body(()).unwrap(), response).await;
    layer.handle().begin_shutdown();
    let last = response.into_body().collect().await.unwrap();
    assert_eq!(last.trailers().unwrap()["grpc-status"], "14");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_known_length_is_not_broken() {
    let layer = breaking();
    let (sender, body) = frames();
    let body = serve(&layer, response(body, &[(CONTENT_LENGTH, "2")])).await;
    layer.handle().begin_shutdown();
    send(&sender, "[]");
    drop(sender);
    assert_eq!(rest(body).await, "[]");
}

#[tokio::test(start_paused = true)]
async fn break_after_counts_from_the_begin_of_each_drain() {
    let policy = StreamPolicy::BreakAfter(Duration::from_secs(10));
    let layer = DrainLayer::new().stream_policy(move |_| policy);
    let handle = layer.handle();
    let (_sender, body) = frames();
    let mut body = task::spawn(serve(&layer, Response::new(body)).await);
    handle.begin_shutdown();
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
    sleep(Duration::from_secs(8)).await;
    handle.resume(handle.nonce().unwrap()).unwrap();
    handle.begin_shutdown();
    let begun = Instant::now();
    let error = body.into_inner().collect().await.unwrap_err();
    assert!(error.is::<BreakError>());
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stays_in_a_line_ends_in_the_same_error() {
    let layer = DrainLayer::new().stream_policy(|_| StreamPolicy::End);
    let (sender, body) = frames();
    let headers = [(CONTENT_TYPE, "application/x-ndjson")];
    let body = serve(&layer, response(body, &headers)).await;
    send(&sender, "{");
    let mut body = task::spawn(body);
    assert!(body.enter(|cx, body| body.poll_frame(cx)).is_ready());
    layer.handle().begin_shutdown();
    let error = body.into_inner().collect().await.unwrap_err();
    assert!(error.is::<BreakError>());
}
