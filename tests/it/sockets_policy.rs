//! Streams that a policy ends, as their clients get it: each in the words of its protocol for "complete".

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::Response;
use axum::routing::get;
use axum::Router;
use tower_drain::{DrainHandle, DrainLayer, Goodbye, StreamPolicy};

use crate::sockets_frames::{Frames, DATA, END_STREAM, HEADERS};
use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, feed, once, piped, serve, Chunks, Server};

const GOODBYE: &str = "event: goodbye\ndata: bye\n\n";

/// An event stream that the policy ends, fed by the test.
async fn ending(policy: StreamPolicy) -> (Server, DrainHandle, Chunks) {
    let layer = DrainLayer::new()
        .stream_policy(move |_| policy)
        .goodbye(Goodbye::event("goodbye").data("bye"));
    let handle = layer.handle();
    let (chunks, body) = piped();
    let app = Router::new().route("/events", once(body));
    let events = |mut response: Response<Body>| async {
        let value = "text/event-stream".parse().unwrap();
        response.headers_mut().insert(CONTENT_TYPE, value);
        response
    };
    let app = app
        .route("/", get(|| async {}))
        .layer(axum::middleware::map_response(events))
        .layer(layer);
    (serve(app).await, handle, chunks)
}

#[tokio::test]
async fn over_http_1_a_stream_that_is_ended_says_goodbye_and_has_its_last_chunk() {
    let (server, handle, chunks) = ending(StreamPolicy::End).await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/events").await;
    client.until("\r\n\r\n").await.unwrap();
    feed(&chunks, "data: 1\n\n");
    assert_eq!(client.chunk().await, Some(Some("data: 1\n\n".to_owned())));
    let drained = drained(&handle);
    assert_eq!(client.chunk().await, Some(Some(GOODBYE.to_owned())));
    assert_eq!(client.chunk().await, Some(None));
    drained.await;
}

#[tokio::test]
async fn over_http_2_a_stream_that_is_ended_says_goodbye_and_has_its_end_stream() {
    let (server, handle, chunks) = ending(StreamPolicy::End).await;
    let mut client = Frames::connect(server.addr, 65_535).await;
    client.get(1, "/events").await;
    assert_eq!(client.next().await.kind, HEADERS);
    feed(&chunks, "data: 1\n\n");
    assert_eq!(client.next().await.payload, b"data: 1\n\n");
    let drained = drained(&handle);
    let mut last = Vec::new();
    loop {
        let frame = client.next().await;
        assert_eq!(frame.kind, DATA, "{frame:?}");
        last.extend(frame.payload);
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(last, GOODBYE.as_bytes());
    drained.await;
}

#[tokio::test]
async fn over_http_1_a_stream_that_is_broken_has_no_last_chunk() {
    let (server, handle, chunks) = ending(StreamPolicy::Break).await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/events").await;
    client.until("\r\n\r\n").await.unwrap();
    feed(&chunks, "data: 1\n\n");
    assert_eq!(client.chunk().await, Some(Some("data: 1\n\n".to_owned())));
    let drained = drained(&handle);
    assert_eq!(client.chunk().await, None, "it does not look complete");
    drained.await;
}
