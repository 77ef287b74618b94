use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use http::{Request, StatusCode};
use tower_service::Service;

use super::reply::{self, get, Reply};
use crate::{DrainHandle, Phase};

impl DrainHandle {
    /// A service that answers 200 in every phase, for as long as the process can answer.
    ///
    /// A draining process is alive: an orchestrator that restarts it for failing this probe would lose what the drain
    /// waits for. See the [example](crate::Readiness#example).
    pub fn liveness(&self) -> Liveness {
        Liveness(self.clone())
    }

    /// A service that answers 200 while serving, and 503 from the lame duck on. See [`Readiness`].
    pub fn readiness(&self) -> Readiness {
        #[cfg(feature = "shutdown")]
        self.exit().front.has_readiness();
        Readiness(self.clone())
    }
}

/// The service of [`DrainHandle::liveness`].
#[derive(Clone, Debug)]
pub struct Liveness(DrainHandle);

/// The service of [`DrainHandle::readiness`].
///
/// It reads what admission reads: it never says 200 while a request is rejected. The body is the phase, in words.
///
/// # Example
///
/// Mounted after the layer, so that probes are neither counted nor rejected:
///
/// ```
/// use axum::{routing::get, Router};
/// use tower_drain::DrainLayer;
///
/// let layer = DrainLayer::new();
/// let handle = layer.handle();
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(layer)
///     .route_service("/livez", handle.liveness())
///     .route_service("/readyz", handle.readiness())
///     .route_service("/drain-status", handle.status_service());
/// ```
///
/// It takes GET and HEAD, and any type of request body, which it does not read. Every answer has
/// `cache-control: no-store`, and from the lame duck on HTTP/1 answers close their connection.
#[derive(Clone, Debug)]
pub struct Readiness(DrainHandle);

impl<B> Service<Request<B>> for Liveness {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        get(&self.0, &request, || reply::text(StatusCode::OK, "ok\n"))
    }
}

impl<B> Service<Request<B>> for Readiness {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        get(&self.0, &request, || {
            let phase = self.0.phase();
            let status = match phase {
                Phase::Serving => StatusCode::OK,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            #[cfg(feature = "shutdown")]
            if phase != Phase::Serving {
                self.0.exit().front.was_asked();
            }
            reply::text(status, format!("{phase}\n"))
        })
    }
}
