//! A cut as the peer sees it: an answer that cannot look complete.

use std::time::Duration;

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use bytes::Bytes;
use futures_util::{stream, StreamExt};
use http::Response;
use http_body_util::BodyExt;
use tower_drain::{BoxError, DrainHandle, DrainLayer, StragglerPhase};

use crate::sockets_frames::{Frames, DATA, END_STREAM, HEADERS, INTERNAL_ERROR, RST_STREAM};
use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, h2, h2_request, serve, within, Server, Step};

/// `/never` does not answer, `/open` sends one chunk and stays open, `/length` announces more than it sends, and
/// `/flood` sends for ever.
async fn fixture() -> (Server, DrainHandle, Step) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let entered = Step::new();
    let (enters, enters_huge) = (entered.clone(), entered.clone());
    let one = || stream::once(async { Ok::<_, BoxError>(Bytes::from("one")) });
    let app = Router::new()
        .route(
            "/never",
            get(|| async move {
                enters.pass();
                std::future::pending::<()>().await;
            }),
        )
        .route(
            "/open",
            get(move || async move { Body::from_stream(one().chain(stream::pending())) }),
        )
        .route(
            "/length",
            get(move || async move {
                let body = Body::from_stream(one().chain(stream::pending()));
                let response = Response::builder().header("content-length", "6");
                response.body(body).unwrap()
            }),
        )
        .route(
            "/huge",
            get(move || async move {
                let huge = stream::once(async move {
                    enters_huge.pass();
                    Ok(Bytes::from(vec![b'x'; 64 << 20]))
                });
                Body::from_stream(one().chain(huge).chain(stream::pending()))
            }),
        )
        .layer(layer);
    (serve(app).await, handle, entered)
}

#[tokio::test]
async fn an_unanswered_request_that_is_cut_gets_a_500_that_does_not_ask_to_be_repeated() {
    let (server, handle, entered) = fixture().await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/never").await;
    entered.passed().await;
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);
    let answer = client.answer("GET").await;
    assert!(answer.is_whole && answer.status() == "500", "{answer:?}");
    assert!(answer.header("retry-after").is_empty());
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
    assert_eq!(drained(&handle).await.cut, 1);
}

#[tokio::test]
async fn a_chunked_body_that_is_cut_has_no_terminating_chunk() {
    let (server, handle, _) = fixture().await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/open").await;
    client.until("one\r\n").await.unwrap();
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);
    assert_eq!(client.chunk().await, None, "the connection just ends");
    drained(&handle).await;
}

#[tokio::test]
async fn a_body_with_a_length_that_is_cut_is_shorter_than_its_length() {
    let (server, handle, _) = fixture().await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/length").await;
    let head = client.until("\r\n\r\n").await.unwrap();
    assert!(head.contains("content-length: 6\r\n"), "{head}");
    assert_eq!(client.exactly(3).await.as_deref(), Some("one"));
    assert_eq!(handle.cut(), 1);
    assert_eq!(client.rest().await, "");
    drained(&handle).await;
}

#[tokio::test]
async fn an_http2_body_that_is_cut_is_reset_and_not_ended() {
    let (server, handle, _) = fixture().await;
    let mut client = Frames::connect(server.addr, 65_535).await;
    client.get(1, "/open").await;
    assert_eq!(client.next().await.kind, HEADERS);
    let data = client.next().await;
    assert_eq!((data.kind, &*data.payload), (DATA, &b"one"[..]));
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);
    let last = client.next().await;
    assert_eq!((last.kind, last.stream), (RST_STREAM, 1), "{last:?}");
    assert_eq!(last.code(), INTERNAL_ERROR);
    drained(&handle).await;

    client.get(3, "/open").await;
    let head = client.next().await;
    assert_eq!((head.kind, head.stream), (HEADERS, 3));
    assert_eq!(head.flags & END_STREAM, 0, "the 503 has a body: {head:?}");
}

#[tokio::test]
async fn an_http2_client_library_takes_a_cut_body_for_an_error() {
    let (server, handle, _) = fixture().await;
    let (mut client, _connection) = h2(server.addr).await;
    let response = within(client.send_request(h2_request("GET", "/open"))).await;
    let mut body = response.unwrap().into_body();
    let frame = within(body.frame()).await;
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "one");
    assert_eq!(handle.cut(), 1);
    let last = within(body.frame()).await;
    last.unwrap().unwrap_err();
    drained(&handle).await;
}

#[tokio::test]
async fn a_body_that_an_http1_peer_does_not_read_is_cut_and_held_until_its_connection_ends() {
    let (server, handle, entered) = fixture().await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/huge").await;
    client.until("one\r\n").await.unwrap();
    entered.passed().await;
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);

    // An answer on another connection shows that the server has had its turn since the cut.
    let mut other = Raw::connect(server.addr).await;
    assert_eq!(other.get("/never").await.status(), "503");
    assert_eq!(handle.in_flight(), 1);
    assert_eq!(handle.cut(), 0, "it was cut already");
    let stragglers = handle.stragglers();
    assert_eq!(stragglers.len(), 1, "{stragglers:?}");
    assert_eq!(stragglers[0].phase, StragglerPhase::Body);
    assert_eq!(stragglers[0].path.as_deref(), Some("/huge"));

    let waiting = handle.wait_for_drain(Duration::MAX);
    client.reset();
    within(waiting).await.unwrap();
    drained(&handle).await;
}

#[tokio::test]
async fn a_body_behind_a_shut_http2_window_is_cut_and_held_until_its_connection_ends() {
    let (server, handle, _) = fixture().await;
    let mut client = Frames::connect(server.addr, 0).await;
    client.get(1, "/open").await;
    assert_eq!(client.next().await.kind, HEADERS);
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);

    // A second stream's answer shows that the server has had its turn since the cut.
    client.get(3, "/never").await;
    assert_eq!(client.next().await.stream, 3);
    assert_eq!(handle.in_flight(), 1);
    assert_eq!(handle.cut(), 0, "it was cut already");
    let stragglers = handle.stragglers();
    assert_eq!(stragglers.len(), 1, "{stragglers:?}");
    assert_eq!(stragglers[0].phase, StragglerPhase::Body);
    assert_eq!(stragglers[0].path.as_deref(), Some("/open"));

    let waiting = handle.wait_for_drain(Duration::MAX);
    drop(client);
    within(waiting).await.unwrap();
    drained(&handle).await;
}
