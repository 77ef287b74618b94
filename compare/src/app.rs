//! The application, which is the same in every server. Its handlers know nothing of a stop.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::Query;
use axum::response::sse::{Event, Sse};
use axum::response::Response;
use axum::routing::{get, post, MethodRouter};
use axum::Router;
use futures_util::Stream;

/// The application and its readiness, with the WebSocket's handler as it is without a library for the stop.
pub(crate) fn routes() -> Router {
    routes_with(get(websocket)).route("/readyz", get("ready"))
}

/// Only the readiness is missing.
pub(crate) fn routes_with(websocket: MethodRouter) -> Router {
    Router::new()
        .route("/", get("hello"))
        .route("/echo", post(|body: axum::body::Bytes| async { body }))
        .route("/events", get(events))
        .route("/ws", websocket)
}

/// `n` events, or events without end, `every_ms` apart.
async fn events(
    Query(wanted): Query<HashMap<String, u64>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let n = wanted.get("n").copied().unwrap_or(u64::MAX);
    let every = Duration::from_millis(wanted.get("every_ms").copied().unwrap_or(100));
    Sse::new(futures_util::stream::unfold(0, move |i| async move {
        if i == n {
            return None;
        }
        tokio::time::sleep(every).await;
        let id = i.to_string();
        Some((Ok(Event::default().id(&id).data(&id)), i + 1))
    }))
}

async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move { echo(&mut socket).await })
}

/// Until the peer closes.
pub(crate) async fn echo(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}
