//! This crate, as its README shows.

use std::process::{ExitCode, Termination};

use axum::extract::ws::{close_code, CloseFrame, Message, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_drain::{DrainGuard, DrainLayer, Goodbye, Phase, Shutdown, StreamPolicy, Timeouts};

use super::LIMIT;
use crate::app::{echo, routes_with};

pub(super) async fn serve(listener: TcpListener, listens: impl FnOnce()) -> ExitCode {
    let layer = DrainLayer::new()
        .stream_policy(|head| match head.uri().query() {
            Some(query) if query.contains("n=") => StreamPolicy::Wait,
            _ => StreamPolicy::End,
        })
        .goodbye(Goodbye::event("goodbye"))
        .share_guard();
    let handle = layer.handle();
    // The other phases keep their defaults.
    let shutdown = Shutdown::new(handle.clone()).timeouts(Timeouts::default().drain(LIMIT));
    listens();
    let readiness = get(move || async move {
        match handle.phase() {
            Phase::Serving => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    });
    let app = routes_with(get(websocket)).layer(layer);
    match shutdown
        .serve(listener, app.route("/readyz", readiness))
        .await
    {
        Ok(report) => report.report(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn websocket(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
    upgrade.on_upgrade(move |mut socket| async move {
        tokio::select! {
            () = guard.draining() => {
                let (code, reason) = (close_code::AWAY, "restarting".into());
                let goodbye = Message::Close(Some(CloseFrame { code, reason }));
                socket.send(goodbye).await.ok();
            }
            () = echo(&mut socket) => {}
        }
    })
}
