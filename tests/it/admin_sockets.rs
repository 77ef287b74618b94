//! Probes and administration over real sockets: mounted as documented, and with peers that misbehave.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use tower::Service;
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::admin_support::{admin, TOKEN};
use crate::sockets_raw::{Answer, Raw};
use crate::sockets_support::{h2, h2_request, serve, serve_hyper, within, Server};

fn app(handle: &DrainHandle) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(DrainLayer::from_handle(handle.clone()))
        .route_service("/livez", handle.liveness())
        .route_service("/readyz", handle.readiness())
        .route_service("/drain-status", handle.status_service())
        .route_service("/drain", admin(handle))
        .route_service("/ready", admin(handle))
}

async fn served() -> (DrainHandle, Server) {
    let handle = DrainHandle::new();
    let server = serve(app(&handle)).await;
    (handle, server)
}

fn head(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{headers}\r\n")
}

async fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    let mut raw = Raw::connect(addr).await;
    let length = format!("content-length: {}\r\n", body.len());
    raw.send(head(path, &length) + body).await;
    raw.answer("POST").await
}

/// A server that is nothing but this service.
async fn alone<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    serve_hyper(service).await
}

fn json(answer: &Answer) -> Value {
    assert!(answer.is_whole, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn after_the_layer_probes_answer_throughout_and_a_drain_comes_and_goes_by_hand() {
    let (handle, server) = served().await;
    let ask = |path| async move { Raw::connect(server.addr).await.get(path).await };
    for (path, body) in [("/livez", "ok\n"), ("/readyz", "serving\n"), ("/", "hello")] {
        let answer = ask(path).await;
        assert_eq!((answer.status(), &*answer.body), ("200", body));
    }
    let nonce =
        json(&post(server.addr, "/drain", "{\"reason\":\"a deploy\"}").await)["nonce"].clone();
    let ready = ask("/readyz").await;
    assert_eq!(
        (ready.status(), ready.header("connection")),
        ("503", vec!["close"])
    );
    assert_eq!(ask("/").await.status(), "200");
    handle.begin_shutdown();
    assert_eq!(ask("/").await.status(), "503");
    assert_eq!(ask("/livez").await.status(), "200");
    let status = json(&ask("/drain-status").await);
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&"drained".into(), &"a deploy".into())
    );

    let answer = post(server.addr, "/ready", &format!("{{\"nonce\":{nonce}}}")).await;
    assert_eq!(answer.status(), "200");
    assert_eq!(ask("/").await.status(), "200");
    assert_eq!(ask("/readyz").await.status(), "200");
}

#[tokio::test]
async fn nested_under_a_prefix_and_as_a_fallback_it_finds_its_paths() {
    let handle = DrainHandle::new();
    let nested = serve(Router::new().nest_service("/admin", admin(&handle))).await;
    let answer = post(nested.addr, "/admin/drain", "").await;
    assert_eq!(answer.status(), "200");
    assert_eq!(handle.phase(), Phase::LameDuck);
    assert_eq!(post(nested.addr, "/drain", "").await.status(), "404");

    let handle = DrainHandle::new();
    let alone = serve(Router::new().fallback_service(admin(&handle))).await;
    assert_eq!(post(alone.addr, "/drain", "").await.status(), "200");
    assert_eq!(post(alone.addr, "/none", "").await.status(), "404");
}

#[tokio::test]
async fn without_a_router_it_is_a_server_of_both_protocols() {
    let handle = DrainHandle::new();
    let addr = alone(admin(&handle)).await;
    let nonce = json(&post(addr, "/drain", "").await)["nonce"].clone();

    let (mut client, _connection) = h2(addr).await;
    let mut request = h2_request("POST", "/ready");
    *request.body_mut() = Body::from(format!("{{\"nonce\":{nonce}}}"));
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let answer = within(client.send_request(request)).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), handle.phase()),
        (200, Phase::Serving)
    );
}

#[tokio::test]
async fn head_has_the_length_and_no_body_over_both_protocols() {
    let (handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.ask("HEAD", "/readyz").await;
    let answer = raw.answer("HEAD").await;
    assert_eq!(
        (answer.status(), answer.header("content-length")),
        ("200", vec!["8"])
    );
    assert_eq!(
        raw.get("/readyz").await.body,
        "serving\n",
        "the connection is still in step"
    );

    let addr = alone(handle.readiness()).await;
    let (mut client, _connection) = h2(addr).await;
    let answer = within(client.send_request(h2_request("HEAD", "/")))
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-length"], "8");
    let body = within(answer.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes().len(), 0);
}

#[tokio::test]
async fn without_the_token_401_comes_before_any_of_the_body_is_sent() {
    let (handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST /drain HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    let answer = raw.answer("POST").await;
    assert_eq!(
        (answer.status(), answer.header("www-authenticate")),
        ("401", vec!["Bearer"])
    );
    assert!(json(&answer)["error"].is_string());
    assert_eq!(handle.phase(), Phase::Serving);
}

#[tokio::test]
async fn what_is_too_large_is_413_that_its_sender_sees_with_and_without_a_length() {
    let (handle, server) = served().await;
    let large = "x".repeat(300_000);
    let answer = post(server.addr, "/drain", &large).await;
    assert_eq!((answer.status(), answer.is_whole), ("413", true));

    let mut raw = Raw::connect(server.addr).await;
    raw.send(head("/drain", "transfer-encoding: chunked\r\n"))
        .await;
    for _ in 0..10 {
        raw.send(format!("{:x}\r\n{}\r\n", 30_000, &large[..30_000]))
            .await;
    }
    raw.send("0\r\n\r\n").await;
    let answer = raw.answer("POST").await;
    assert_eq!((answer.status(), answer.is_whole), ("413", true));
    assert_eq!(handle.phase(), Phase::Serving);
    assert_eq!(
        raw.get("/readyz").await.status(),
        "200",
        "the connection is still in step"
    );
}

#[tokio::test]
async fn a_peer_that_waits_for_100_continue_is_not_asked_for_what_is_too_large() {
    let (_handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send(head(
        "/drain",
        "content-length: 100000\r\nexpect: 100-continue\r\n",
    ))
    .await;
    assert_eq!(raw.answer("POST").await.status(), "413");
}

#[tokio::test]
async fn a_body_that_is_shorter_than_its_length_changes_nothing() {
    let (handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send(head("/drain", "content-length: 10\r\n") + "{}")
        .await;
    raw.finish().await;
    let answer = raw.answer("POST").await;
    assert_eq!(answer.status(), "400", "{answer:?}");
    assert!(json(&answer)["error"]
        .as_str()
        .unwrap()
        .contains("before it was complete"));
    assert_eq!(handle.phase(), Phase::Serving);
}

#[tokio::test]
async fn a_chunk_that_breaks_off_changes_nothing() {
    let (handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send(head("/drain", "transfer-encoding: chunked\r\n") + "2\r\n{}\r\n5\r\n ")
        .await;
    raw.finish().await;
    assert_eq!(raw.answer("POST").await.status(), "400");
    assert_eq!(handle.phase(), Phase::Serving);

    let mut raw = Raw::connect(server.addr).await;
    raw.send(head("/drain", "transfer-encoding: chunked\r\n") + "2\r\n{}\r\nnonsense\r\n")
        .await;
    assert_eq!(raw.answer("POST").await.status(), "400");
    assert_eq!(handle.phase(), Phase::Serving);
}

#[tokio::test]
async fn garbage_is_400_and_the_service_goes_on() {
    let (handle, server) = served().await;
    for garbage in [
        "\0\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "POST /drain HTTP/9.9\r\n\r\n",
        "{}\r\n\r\n",
    ] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(garbage).await;
        assert_eq!(raw.answer("POST").await.status(), "400", "{garbage:?}");
    }
    for body in ["\0", "{", "[[[[", "\u{feff}{}", "{\"reason\":\"\u{1}\"}"] {
        assert_eq!(
            post(server.addr, "/drain", body).await.status(),
            "400",
            "{body:?}"
        );
    }
    assert_eq!(handle.phase(), Phase::Serving);
    assert_eq!(post(server.addr, "/drain", "{}").await.status(), "200");
}

#[tokio::test]
async fn a_peer_that_resets_in_the_middle_changes_nothing() {
    let (handle, server) = served().await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send(head("/drain", "content-length: 10\r\n") + "{}")
        .await;
    raw.reset();
    assert_eq!(
        Raw::connect(server.addr)
            .await
            .get("/readyz")
            .await
            .status(),
        "200"
    );
    assert_eq!(handle.phase(), Phase::Serving);
}

#[cfg(feature = "server")]
#[tokio::test]
async fn beside_a_server_it_answers_to_the_end_and_its_exit_ends_the_process() {
    use crate::sockets_support::listener;
    use std::time::Duration;
    use tower_drain::{DrainReason, Shutdown, Timeouts};

    let handle = DrainHandle::new();
    let (inside, admin_addr) = listener().await;
    let (public, addr) = listener().await;
    let operators = Router::new().fallback_service(admin(&handle));
    let quick = Timeouts::default()
        .lame_duck(Duration::from_millis(10))
        .settle(Duration::ZERO);
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(quick)
        .beside(|until_exit| axum::serve(inside, operators).with_graceful_shutdown(until_exit));
    let guard = handle.try_guard().unwrap();
    let running = tokio::spawn(shutdown.serve(public, app(&handle)));
    assert_eq!(Raw::connect(addr).await.get("/").await.status(), "200");
    let draining = handle.draining();
    let answer = post(
        admin_addr,
        "/drain",
        r#"{"reason":"a new version","then":"exit"}"#,
    )
    .await;
    assert!(json(&answer)["nonce"].is_u64());
    within(draining).await;
    // Rejecting, and administration still answers.
    assert_eq!(
        post(admin_addr, "/ready", r#"{"nonce":1}"#).await.status(),
        "409"
    );
    drop(guard);
    let report = within(running).await.unwrap().unwrap();
    assert_eq!(report.reason, DrainReason::from("a new version"));
    assert!(report.is_complete());
}
