//! HTTP/2 as it is on the wire: rejections, and frames that are nobody's business before a drain.

use std::net::SocketAddr;

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower_drain::{BoxError, DrainLayer};

use crate::sockets_frames::{Frames, END_STREAM};
use crate::sockets_support::{drained, feed, h2, h2_request, once, piped, serve, within, Server};

fn golden() -> Router {
    let chunks = || stream::iter(["a", "bc"]).map(|chunk| Ok::<_, BoxError>(Bytes::from(chunk)));
    Router::new()
        .route("/", get(|| async { ([("set-cookie", "a=1")], "hello") }))
        .route("/empty", get(|| async {}))
        .route("/204", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/stream",
            get(move || async move { Body::from_stream(chunks()) }),
        )
        .route(
            "/trailers",
            get(move || async move {
                let sum = (
                    HeaderName::from_static("x-sum"),
                    HeaderValue::from_static("1"),
                );
                let last = Frame::trailers(HeaderMap::from_iter([sum]));
                let frames = chunks().map(|chunk| chunk.map(Frame::data));
                Body::new(StreamBody::new(
                    frames.chain(stream::once(async { Ok(last) })),
                ))
            }),
        )
}

const PATHS: [&str; 6] = ["/", "/empty", "/204", "/stream", "/trailers", "/none"];

/// The frames of one answer: kind, flags and, but for the headers with their date, what they carry.
async fn frames(addr: SocketAddr, path: &str) -> Vec<(u8, u8, Vec<u8>)> {
    let mut client = Frames::connect(addr, 65_535).await;
    client.get(1, path).await;
    let mut all = Vec::new();
    loop {
        let frame = client.next().await;
        let carried = match frame.kind {
            crate::sockets_frames::DATA => frame.payload,
            _ => Vec::new(),
        };
        all.push((frame.kind, frame.flags, carried));
        if frame.flags & END_STREAM != 0 {
            return all;
        }
    }
}

async fn head(server: &Server, method: &str, path: &str) -> (StatusCode, HeaderMap) {
    let (mut client, _connection) = h2(server.addr).await;
    let response = within(client.send_request(h2_request(method, path))).await;
    let (mut head, body) = response.unwrap().into_parts();
    within(body.collect()).await.unwrap();
    head.headers.remove("date").unwrap();
    (head.status, head.headers)
}

#[tokio::test]
async fn before_a_drain_every_frame_and_header_is_as_without_the_layer() {
    let bare = serve(golden()).await;
    let layered = serve(golden().layer(DrainLayer::new().share_guard())).await;
    for path in PATHS {
        let without = frames(bare.addr, path).await;
        assert_eq!(frames(layered.addr, path).await, without, "{path}");
        for method in ["GET", "HEAD", "POST"] {
            let without = head(&bare, method, path).await;
            assert_eq!(head(&layered, method, path).await, without, "{path}");
        }
    }
}

#[tokio::test]
async fn an_http2_rejection_is_a_503_and_leaves_the_streams_beside_it_alone() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (chunks, body) = piped();
    let app = Router::new().route("/stream", once(body)).layer(layer);
    let server = serve(app).await;
    let (mut client, _connection) = h2(server.addr).await;
    let open = within(client.send_request(h2_request("GET", "/stream"))).await;
    let open = open.unwrap();
    handle.begin_shutdown();

    let rejected = within(client.send_request(h2_request("GET", "/stream"))).await;
    let (head, body) = rejected.unwrap().into_parts();
    assert_eq!(head.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(head.headers["retry-after"], "1");
    assert_eq!(head.headers["content-type"], "text/plain; charset=utf-8");
    assert!(!head.headers.contains_key("connection"));
    let text = within(body.collect()).await.unwrap().to_bytes();
    assert_eq!(text, "the service is shutting down\n");

    feed(&chunks, "to the end");
    drop(chunks);
    let whole = within(open.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(whole, "to the end");
    let report = drained(&handle).await;
    assert_eq!((report.in_flight_at_start, report.rejected), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_rejections_from_several_connections_never_shows_in_in_flight() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (chunks, body) = piped();
    let app = Router::new().route("/stream", once(body)).layer(layer);
    let server = serve(app).await;
    let addr = server.addr;
    let (mut client, _connection) = h2(addr).await;
    let open = within(client.send_request(h2_request("GET", "/stream"))).await;
    let open = open.unwrap();
    handle.begin_shutdown();

    let floods = (0..4).map(|_| {
        tokio::spawn(async move {
            let (client, _connection) = h2(addr).await;
            for _ in 0..25 {
                let mut clients = vec![client.clone(); 20];
                let asked = clients
                    .iter_mut()
                    .map(|client| client.send_request(h2_request("GET", "/stream")));
                for response in within(join_all(asked)).await {
                    assert_eq!(response.unwrap().status(), 503);
                }
            }
        })
    });
    let watched = handle.clone();
    let mut flood = std::pin::pin!(join_all(floods.collect::<Vec<_>>()));
    let mut looks = 0_u64;
    let results = loop {
        assert_eq!(watched.in_flight(), 1);
        looks += 1;
        if let std::task::Poll::Ready(results) = futures_util::poll!(&mut flood) {
            break results;
        }
        tokio::task::yield_now().await;
    };
    results.into_iter().for_each(Result::unwrap);
    assert!(looks > 100, "looked only {looks} times");
    drop((chunks, open));
    assert_eq!(drained(&handle).await.rejected, 2_000);
}
