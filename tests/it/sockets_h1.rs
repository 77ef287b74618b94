//! HTTP/1 as it is on the wire: rejections, requests and answers that are half sent when a drain begins, pipelining,
//! and headers that are nobody's business before it.

use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::Router;
use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use tower_drain::{DrainHandle, DrainLayer};

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, feed, once, piped, serve, within, Chunks, Server, Step};

struct Fixture {
    server: Server,
    handle: DrainHandle,
    entered: Step,
    gate: Step,
}

/// `/` answers, `/held` waits for the gate, `/echo` tells that it was entered before it reads.
async fn fixture() -> Fixture {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (entered, gate) = (Step::new(), Step::new());
    let held = {
        let (entered, gate) = (entered.clone(), gate.clone());
        move || async move {
            entered.pass();
            gate.passed().await;
            "held"
        }
    };
    let echo = {
        let entered = entered.clone();
        move |body: Body| async move {
            entered.pass();
            axum::body::to_bytes(body, 1024).await.unwrap()
        }
    };
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/held", get(held))
        .route("/echo", post(echo))
        .layer(layer);
    Fixture {
        server: serve(app).await,
        handle,
        entered,
        gate,
    }
}

/// `/` answers, `/stream` is what the returned end feeds, once.
async fn streaming() -> (Server, DrainHandle, Chunks) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (chunks, body) = piped();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/stream", once(body))
        .layer(layer);
    (serve(app).await, handle, chunks)
}

#[tokio::test]
async fn a_rejection_is_a_503_that_names_the_time_to_retry_and_closes_the_connection() {
    let f = fixture().await;
    let mut client = Raw::connect(f.server.addr).await;
    f.handle.begin_shutdown();
    let answer = client.get("/").await;
    assert!(answer
        .head
        .starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert_eq!(answer.header("retry-after"), ["1"]);
    assert_eq!(answer.header("connection"), ["close"]);
    assert_eq!(answer.header("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(
        (answer.is_whole, &*answer.body),
        (true, "the service is shutting down\n")
    );
    client.assert_end().await;
    assert_eq!(drained(&f.handle).await.rejected, 1);
}

#[tokio::test]
async fn a_callers_own_rejection_closes_the_connection_too() {
    let layer = DrainLayer::new().rejection(|_| {
        let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
        response.body(Body::from("elsewhere")).unwrap()
    });
    let handle = layer.handle();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layer);
    let server = serve(app).await;
    handle.begin_shutdown();
    let mut client = Raw::connect(server.addr).await;
    let answer = client.get("/").await;
    assert_eq!((answer.status(), &*answer.body), ("429", "elsewhere"));
    assert_eq!(answer.header("connection"), ["close"]);
    assert!(answer.header("retry-after").is_empty());
    client.assert_end().await;
}

#[tokio::test]
async fn a_request_body_that_is_half_sent_when_the_drain_begins_is_read_to_its_end() {
    let f = fixture().await;
    let mut client = Raw::connect(f.server.addr).await;
    client
        .send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n01234")
        .await;
    f.entered.passed().await;
    f.handle.begin_shutdown();
    assert_eq!(f.handle.in_flight(), 1);
    client.send("56789").await;
    let answer = client.answer("POST").await;
    assert_eq!((answer.status(), &*answer.body), ("200", "0123456789"));
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
    drained(&f.handle).await;
}

#[tokio::test]
async fn an_answer_whose_head_was_sent_before_the_begin_completes_and_the_next_request_gets_the_503(
) {
    let (server, handle, chunks) = streaming().await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/stream").await;
    feed(&chunks, "one");
    let head = client.until("\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("connection"));
    assert_eq!(client.chunk().await, Some(Some("one".to_owned())));

    handle.begin_shutdown();
    feed(&chunks, "two");
    assert_eq!(client.chunk().await, Some(Some("two".to_owned())));
    assert_eq!(handle.in_flight(), 1);
    drop(chunks);
    assert_eq!(client.chunk().await, Some(None), "the terminating chunk");
    assert_eq!(client.until("\r\n").await.as_deref(), Some("\r\n"));
    drained(&handle).await;

    let answer = client.get("/").await;
    assert_eq!(answer.status(), "503");
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
}

#[tokio::test]
async fn before_a_drain_no_answer_closes_its_connection() {
    let f = fixture().await;
    let mut client = Raw::connect(f.server.addr).await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!((answer.status(), &*answer.body), ("200", "hello"));
        assert!(answer.header("connection").is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn after_a_resume_answers_keep_their_connection_again() {
    let f = fixture().await;
    let mut client = Raw::connect(f.server.addr).await;
    assert_eq!(client.get("/").await.status(), "200");
    f.handle.begin_shutdown();
    f.handle.resume(f.handle.nonce().unwrap()).unwrap();
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!(answer.status(), "200");
        assert!(answer.header("connection").is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_pipelined_request_behind_an_answer_that_began_before_gets_the_503() {
    let (server, handle, chunks) = streaming().await;
    let mut client = Raw::connect(server.addr).await;
    let both = "GET /stream HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    client.send(both).await;
    feed(&chunks, "one");
    client.until("\r\n\r\n").await.unwrap();
    assert_eq!(client.chunk().await, Some(Some("one".to_owned())));
    handle.begin_shutdown();
    drop(chunks);
    client.until("0\r\n\r\n").await.unwrap();
    let answer = client.answer("GET").await;
    assert_eq!(answer.status(), "503");
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
    assert_eq!(drained(&handle).await.rejected, 1);
}

#[tokio::test]
async fn a_pipelined_request_behind_an_answer_that_closes_reaches_nobody() {
    let f = fixture().await;
    let mut client = Raw::connect(f.server.addr).await;
    let both = "GET /held HTTP/1.1\r\nhost: x\r\n\r\nGET /held HTTP/1.1\r\nhost: x\r\n\r\n";
    client.send(both).await;
    f.entered.passed().await;
    f.handle.begin_shutdown();
    f.gate.pass();
    let answer = client.answer("GET").await;
    assert_eq!((answer.status(), &*answer.body), ("200", "held"));
    assert_eq!(answer.header("connection"), ["close"]);
    assert_eq!(client.rest().await, "");
    let report = drained(&f.handle).await;
    assert_eq!((report.in_flight_at_start, report.rejected), (1, 0));
}

fn golden() -> Router {
    let response = |status: u16| Response::builder().status(status);
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/empty", get(|| async {}))
        .route("/204", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/304",
            get(move || async move {
                response(304)
                    .header("etag", "\"a\"")
                    .body(Body::empty())
                    .unwrap()
            }),
        )
        .route(
            "/chunked",
            get(|| async {
                let chunks = ["a", "bc"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)));
                Body::from_stream(stream::iter(chunks))
            }),
        )
        .route(
            "/sse",
            get(|| async {
                let events =
                    ["a", "b"].map(|data| Ok::<_, axum::Error>(Event::default().data(data)));
                Sse::new(stream::iter(events))
            }),
        )
        .route(
            "/odd",
            get(move || async move {
                let response = response(203)
                    .header("connection", "x-hop")
                    .header("x-hop", "1")
                    .header("set-cookie", "a=1")
                    .header("set-cookie", "b=2");
                response.body(Body::from(vec![b'x'; 70_000])).unwrap()
            }),
        )
}

/// What the connection says to `request` up to its end, without the date.
async fn told(server: &Server, request: &str) -> String {
    let mut client = Raw::connect(server.addr).await;
    client.send(request).await;
    let all = client.rest().await;
    let lines = all.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn before_a_drain_every_byte_is_as_without_the_layer() {
    let bare = serve(golden()).await;
    let layered = serve(golden().layer(DrainLayer::new().share_guard())).await;
    let paths = [
        "/", "/empty", "/204", "/304", "/chunked", "/sse", "/odd", "/none",
    ];
    for path in paths {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            for (version, headers) in [
                ("1.1", "connection: close\r\n"),
                ("1.0", ""),
                ("1.1", "te: trailers\r\nconnection: close, te\r\n"),
            ] {
                let request = format!("{method} {path} HTTP/{version}\r\nhost: x\r\n{headers}\r\n");
                let (with, without) =
                    within(async { (told(&layered, &request).await, told(&bare, &request).await) })
                        .await;
                assert!(without.starts_with("HTTP/1."), "{without}");
                assert_eq!(with, without, "{request}");
            }
        }
        let kept = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\n\r\nGET {path} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n\
             GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(told(&layered, &kept).await, told(&bare, &kept).await);
    }
}
