//! The request's guard as an argument of an axum handler.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::DrainGuard;

/// The guard that [`DrainLayer::share_guard`](crate::DrainLayer::share_guard) put into the request: it holds the drain
/// for what outlives the request, and tells when to leave.
///
/// ```
/// use axum::extract::ws::{close_code, CloseFrame, Message, WebSocketUpgrade};
/// use axum::response::Response;
/// use tower_drain::DrainGuard;
///
/// async fn chat(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
///     upgrade.on_upgrade(move |mut socket| async move {
///         tokio::select! {
///             _ = async { while let Some(Ok(_)) = socket.recv().await {} } => {}
///             () = guard.draining() => {
///                 let (code, reason) = (close_code::AWAY, "restarting".into());
///                 let goodbye = Message::Close(Some(CloseFrame { code, reason }));
///                 let _ = socket.send(goodbye).await;
///             }
///         }
///     })
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::any(chat));
/// ```
impl<S: Sync> FromRequestParts<S> for DrainGuard {
    type Rejection = NoGuard;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoGuard> {
        parts.extensions.get::<Self>().cloned().ok_or(NoGuard(()))
    }
}

/// A handler asked for a guard that its request does not have: 500, because the program is wrong.
#[derive(Clone, Debug)]
pub struct NoGuard(());

impl fmt::Display for NoGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has no drain guard: call `share_guard` on the `DrainLayer` around this route")
    }
}

impl std::error::Error for NoGuard {}

impl IntoResponse for NoGuard {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
