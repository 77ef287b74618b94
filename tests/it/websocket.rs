//! The guard as an argument of an axum handler, over a real WebSocket.

use std::future::pending;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{close_code, CloseFrame, Message, WebSocketUpgrade};
use axum::http::Request;
use axum::response::Response;
use axum::routing::any;
use axum::Router;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;
use tower::ServiceExt;
use tower_drain::{DrainGuard, DrainLayer, Phase};

async fn says_goodbye(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        guard.draining().await;
        let (code, reason) = (close_code::AWAY, "".into());
        socket
            .send(Message::Close(Some(CloseFrame { code, reason })))
            .await
            .unwrap();
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

async fn holds_until_cut(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
    upgrade.on_upgrade(|_socket| async move { guard.cut().await })
}

async fn serve(layer: DrainLayer) -> String {
    let app = Router::new()
        .route("/goodbye", any(says_goodbye))
        .route("/held", any(holds_until_cut))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async {
        axum::serve(listener, app)
            .with_graceful_shutdown(pending())
            .await
    });
    url
}

#[tokio::test]
async fn a_socket_holds_the_drain_and_closes_with_1001() {
    let layer = DrainLayer::new().share_guard();
    let handle = layer.handle();
    let url = serve(layer).await;
    // From the lame duck on answers close their connection; this one must not.
    handle.begin_lame_duck();
    let (mut socket, response) = tokio_tungstenite::connect_async(format!("{url}/goodbye"))
        .await
        .unwrap();
    assert_eq!(response.headers()["connection"], "upgrade");
    assert_eq!(handle.in_flight(), 1);

    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Draining);
    let Some(Ok(tungstenite::Message::Close(Some(frame)))) = socket.next().await else {
        panic!("no close");
    };
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(handle.phase(), Phase::Draining);
    while socket.next().await.is_some() {}
    handle
        .wait_for_drain(Duration::from_secs(10))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cut_tells_the_task_of_a_socket_and_leaves_the_end_to_it() {
    let layer = DrainLayer::new().share_guard();
    let handle = layer.handle();
    let url = serve(layer).await;
    let _socket = tokio_tungstenite::connect_async(format!("{url}/held"))
        .await
        .unwrap();
    handle.begin_shutdown();
    let stragglers = handle.stragglers();
    assert_eq!(stragglers[0].path.as_deref(), Some("/held"));
    assert_eq!(handle.cut(), 0);
    handle
        .wait_for_drain(Duration::from_secs(10))
        .await
        .unwrap();
}

#[tokio::test]
async fn without_share_guard_the_handler_is_not_called_and_the_answer_says_why() {
    async fn handler(_: DrainGuard) {}
    let app = Router::new()
        .route("/", any(handler))
        .layer(DrainLayer::new());
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1_000)
        .await
        .unwrap();
    assert!(std::str::from_utf8(&body).unwrap().contains("share_guard"));
}
