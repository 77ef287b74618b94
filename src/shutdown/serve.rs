//! The sequence around the crate's own server.

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;

use super::builder::Shutdown;
use super::ShutdownReport;
use crate::server::{serve_connections, Accept};
use crate::BoxError;

impl Shutdown {
    /// Serves `app` on `listener` until the sequence is over: one line in place of `axum::serve`.
    ///
    /// ```no_run
    /// use axum::{routing::get, Router};
    /// use tower_drain::{BoxError, DrainLayer, Shutdown, ShutdownReport, Timeouts};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<ShutdownReport, BoxError> {
    ///     let layer = DrainLayer::new();
    ///     let shutdown = Shutdown::new(layer.handle()).timeouts(Timeouts::from_env()?);
    ///     let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
    ///     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    ///     shutdown.serve(listener, app).await
    /// }
    /// ```
    ///
    /// It speaks HTTP/1 and HTTP/2, with upgrades, over TCP, Unix sockets or what your own [`Accept`] makes, such as TLS.
    /// It knows its connections: the socket closes apart from them and its backlog is served, settling ends early when
    /// none is left, those without a request and without unwritten bytes are dropped at once after the stop, and all
    /// at the end of `close`, so that the process can leave although a peer never reads. An upgraded connection belongs
    /// to whoever took it, and to its guard.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`](crate::ConfigError), before the first connection is accepted. Errors of single connections are
    /// no errors of the server.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping it drops every connection, the servers beside and the hooks.
    pub async fn serve<L, S, B>(self, listener: L, app: S) -> Result<ShutdownReport, BoxError>
    where
        L: Accept,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let handle = self.handle.clone();
        self.drive(|stages| serve_connections(listener, app, handle, stages))
            .await
    }
}
