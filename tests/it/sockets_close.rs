//! `connection: close` from the lame duck on: on which answers, and that real connections end by it.

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{copy, split};
use tower::{Layer, ServiceExt};
use tower_drain::{BoxError, DrainHandle, DrainLayer};

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, h2, h2_request, serve, serve_hyper, within, Step};

async fn router() -> (crate::sockets_support::Server, DrainHandle) {
    let layer = DrainLayer::new().exempt(|head| head.uri().path() == "/livez");
    let handle = layer.handle();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/livez", get(|| async { "alive" }))
        .route("/closes", get(|| async { ([("connection", "close")], "") }))
        .route("/hop", get(|| async { ([("connection", "x-hop")], "") }))
        .layer(layer);
    (serve(app).await, handle)
}

const KEPT_10: &str = "HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";

#[tokio::test]
async fn from_the_lame_duck_on_an_http1_answer_closes_its_connection() {
    let (server, handle) = router().await;
    for path in ["/", "/livez", "/none"] {
        let mut client = Raw::connect(server.addr).await;
        assert!(client.get(path).await.header("connection").is_empty());
        handle.begin_lame_duck();
        let answer = client.get(path).await;
        assert_ne!(answer.status(), "503");
        assert_eq!(answer.header("connection"), ["close"], "{path}");
        client.assert_end().await;
        handle.resume(handle.nonce().unwrap()).unwrap();
    }
    handle.begin_shutdown();
    let mut client = Raw::connect(server.addr).await;
    let answer = client.get("/livez").await;
    assert_eq!((answer.status(), &*answer.body), ("200", "alive"));
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
}

#[tokio::test]
async fn the_close_is_appended_to_what_the_handler_says_and_never_said_twice() {
    let (server, handle) = router().await;
    handle.begin_lame_duck();
    let mut client = Raw::connect(server.addr).await;
    let answer = client.get("/closes").await;
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
    let mut client = Raw::connect(server.addr).await;
    let answer = client.get("/hop").await;
    assert_eq!(answer.header("connection"), ["x-hop, close"]);
    client.assert_end().await;
}

#[tokio::test]
async fn a_kept_alive_client_of_http10_is_closed_from_the_lame_duck_on() {
    let (server, handle) = router().await;
    let mut client = Raw::connect(server.addr).await;
    client.send(format!("GET / {KEPT_10}")).await;
    let answer = client.answer("GET").await;
    assert_eq!(answer.header("connection"), ["keep-alive"]);
    handle.begin_lame_duck();
    client.send(format!("GET / {KEPT_10}")).await;
    let answer = client.answer("GET").await;
    assert!(answer.head.starts_with("HTTP/1.0 200 OK\r\n"), "{answer:?}");
    assert_eq!(answer.header("connection"), ["close"]);
    assert_eq!(answer.body, "hello");
    client.assert_end().await;

    handle.begin_shutdown();
    let mut client = Raw::connect(server.addr).await;
    client.send(format!("GET / {KEPT_10}")).await;
    let answer = client.answer("GET").await;
    assert!(answer.head.starts_with("HTTP/1.0 503 "), "{answer:?}");
    assert_eq!(answer.header("connection"), ["close"]);
    client.assert_end().await;
}

/// Answers `GET` with a 101 and `CONNECT` with a 200, and then sends back what it gets; everything else is refused.
async fn tunnel(mut request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let response = Response::builder();
    let response = match *request.method() {
        Method::GET => response
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "echo"),
        Method::CONNECT if request.uri().port_u16() == Some(443) => response,
        _ => return Ok(response.status(405).body(Body::from("no"))?),
    };
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut from, mut to) = split(TokioIo::new(upgrading.await.unwrap()));
        copy(&mut from, &mut to).await
    });
    Ok(response.body(Body::empty())?)
}

#[tokio::test]
async fn a_101_keeps_its_upgrade_and_is_never_told_to_close() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let addr = serve_hyper(layer.layer(tower::service_fn(tunnel))).await;
    handle.begin_lame_duck();
    let mut client = Raw::connect(addr).await;
    client
        .send("GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    let answer = client.answer("GET").await;
    assert_eq!(answer.status(), "101");
    assert_eq!(answer.header("connection"), ["upgrade"]);
    client.send("ping").await;
    assert_eq!(client.exactly(4).await.as_deref(), Some("ping"));
    drained(&handle).await;
    client.send("pong").await;
    assert_eq!(client.exactly(4).await.as_deref(), Some("pong"));
}

#[tokio::test]
async fn a_200_to_connect_is_untouched_and_a_refused_connect_closes() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let addr = serve_hyper(layer.layer(tower::service_fn(tunnel))).await;
    handle.begin_lame_duck();
    let mut client = Raw::connect(addr).await;
    client
        .send("CONNECT far:443 HTTP/1.1\r\nhost: far:443\r\n\r\n")
        .await;
    let head = client.until("\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("connection"));
    client.send("ping").await;
    assert_eq!(client.exactly(4).await.as_deref(), Some("ping"));

    let mut refused = Raw::connect(addr).await;
    refused
        .send("CONNECT far:25 HTTP/1.1\r\nhost: far:25\r\n\r\n")
        .await;
    let answer = refused.answer("CONNECT").await;
    assert_eq!(answer.status(), "405");
    assert_eq!(answer.header("connection"), ["close"]);
    refused.assert_end().await;
}

#[tokio::test]
async fn an_http2_answer_is_handed_to_hyper_without_a_connection_header() {
    // hyper takes the header out and warns, so that the wire does not show it: this stands between hyper and the layer.
    let layer = DrainLayer::new().exempt(|head| head.uri().path() == "/livez");
    let handle = layer.handle();
    let (never, entered) = (Step::new(), Step::new());
    let inside = {
        let (never, entered) = (never.clone(), entered.clone());
        tower::service_fn(move |request: Request<Incoming>| {
            let (never, entered) = (never.clone(), entered.clone());
            async move {
                if request.uri().path() == "/never" {
                    entered.pass();
                    never.passed().await;
                }
                Ok::<_, BoxError>(Response::new(Body::from("hello")))
            }
        })
    };
    let drain = layer.layer(inside);
    let outside = tower::service_fn(move |request: Request<Incoming>| {
        assert_eq!(request.version(), Version::HTTP_2);
        let answering = drain.clone().oneshot(request);
        async move {
            let mut response = answering.await?;
            let says = response.headers().contains_key("connection");
            let said = HeaderValue::from_static(if says { "true" } else { "false" });
            response.headers_mut().insert("x-said", said);
            Ok::<_, BoxError>(response)
        }
    });
    let (mut client, _connection) = h2(serve_hyper(outside).await).await;
    let mut ask = |path: &str| client.send_request(h2_request("GET", path));

    handle.begin_lame_duck();
    let cut = ask("/never");
    let held = tokio::spawn(cut);
    entered.passed().await;
    for (path, status) in [("/", 200), ("/livez", 200)] {
        let response = within(ask(path)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["x-said"], "false");
    }
    handle.begin_shutdown();
    let rejected = within(ask("/")).await.unwrap();
    assert_eq!(rejected.status(), 503);
    assert_eq!(rejected.headers()["retry-after"], "1");
    assert_eq!(rejected.headers()["x-said"], "false");
    assert_eq!(handle.cut(), 1);
    let cut = within(held).await.unwrap().unwrap();
    assert_eq!(cut.status(), 500);
    assert!(!cut.headers().contains_key("retry-after"));
    assert_eq!(cut.headers()["x-said"], "false");
    drained(&handle).await;
}
