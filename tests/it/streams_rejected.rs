//! What rejected requests for a stream are told.

use std::time::Duration;

use http::header::ACCEPT;
use http::{Request, Response};
use tower_drain::DrainLayer;

use crate::streams_support::{frames, rest, serve_to, Frames};

#[tokio::test]
async fn a_rejected_event_source_is_told_when_to_come_back_before_a_rejection_is_asked() {
    let layer = DrainLayer::new()
        .rejection(|_| -> Response<Frames> { panic!("asked") })
        .event_source_retry(Duration::from_millis(2_500));
    layer.handle().begin_shutdown();
    let (_sender, body) = frames();
    let request = Request::get("/").header(ACCEPT, "text/html, Text/Event-Stream;q=0.9");
    let response = serve_to(&layer, request.body(()).unwrap(), Response::new(body)).await;
    let headers = response.headers().clone();
    assert_eq!(response.status(), 200);
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["connection"], "close");
    assert_eq!(rest(response.into_body()).await, "retry: 2500\n\n");
    assert_eq!(layer.handle().status().rejected, 1);
}

#[tokio::test]
async fn other_requests_are_rejected_as_ever_beside_event_source_retry() {
    let layer = DrainLayer::new().event_source_retry(Duration::from_secs(1));
    layer.handle().begin_shutdown();
    let (_sender, body) = frames();
    let response = serve_to(&layer, Request::new(()), Response::new(body)).await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn a_rejected_get_that_does_not_accept_an_event_stream_by_name_gets_the_503() {
    let layer = DrainLayer::new().event_source_retry(Duration::from_secs(1));
    layer.handle().begin_shutdown();
    for accept in [
        "application/json, text/event-stream;q=0",
        "text/event-stream; Q=0.000, */*",
        "text/html;note=\", text/event-stream\"",
        "text/event-stream-index",
        "text/*, */*",
    ] {
        let (_sender, body) = frames();
        let request = Request::get("/").header(ACCEPT, accept).body(()).unwrap();
        let response = serve_to(&layer, request, Response::new(body)).await;
        assert_eq!(response.status(), 503, "{accept}");
    }
}

#[tokio::test]
async fn a_rejected_post_that_accepts_an_event_stream_gets_no_200() {
    let layer = DrainLayer::new().event_source_retry(Duration::from_secs(1));
    layer.handle().begin_shutdown();
    let (_sender, body) = frames();
    let request = Request::post("/mcp").header(ACCEPT, "application/json, text/event-stream");
    let response = serve_to(&layer, request.body(()).unwrap(), Response::new(body)).await;
    assert_eq!(response.status(), 503);
}
