//! Stop an HTTP service without losing a request.
//!
//! [`DrainLayer`] counts the requests of a tower service until their response body is dropped. Its [`DrainHandle`]
//! begins the drain, waits for its end, says who holds it, and cuts what is left. It works over every service of `http`
//! requests and responses whose bodies are made of `Bytes`: axum, tonic, or hyper by way of hyper-util.
//!
//! # Example
//!
//! ```
//! # use std::time::Duration;
//! use axum::{body::Body, http::Request, routing::get, Router};
//! use tower::ServiceExt;
//! use tower_drain::DrainLayer;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = DrainLayer::new();
//! let handle = layer.handle();
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
//!
//! let answer = app.clone().oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(handle.in_flight(), 1); // until its body is gone
//!
//! handle.begin_shutdown();
//! let rejected = app.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(rejected.status(), 503);
//! assert_eq!(handle.in_flight(), 1); // rejected ones are not counted
//!
//! drop(answer);
//! let report = handle.wait_for_drain(Duration::from_secs(30)).await?;
//! assert_eq!(report.rejected, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Customised: a probe that is always answered, another rejection, and a guard for work that outlives its request.
//!
//! ```
//! # use std::time::Duration;
//! use axum::{body::Body, http::Request, response::Response, routing::get, Extension, Router};
//! use tower::ServiceExt;
//! use tower_drain::{DrainGuard, DrainLayer, Phase, RequestHead};
//!
//! async fn order(Extension(guard): Extension<DrainGuard>) -> &'static str {
//!     tokio::spawn(async move {
//!         tokio::time::sleep(Duration::from_secs(1)).await; // sends a receipt
//!         drop(guard);
//!     });
//!     "ordered"
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = DrainLayer::new()
//!     .exempt(|head: &RequestHead<'_>| head.uri().path() == "/livez")
//!     .rejection(|_: &RequestHead<'_>| {
//!         Response::builder()
//!             .status(503)
//!             .header("retry-after", "5")
//!             .body(Body::from("come back soon"))
//!             .expect("valid")
//!     })
//!     .share_guard();
//! let handle = layer.handle();
//! let app = Router::new()
//!     .route("/order", get(order))
//!     .route("/livez", get(|| async { "ok" }))
//!     .layer(layer);
//!
//! let answer = app.clone().oneshot(Request::get("/order").body(Body::empty())?).await?;
//! drop(answer);
//! handle.begin_shutdown();
//! assert_eq!(handle.phase(), Phase::Draining); // for the receipt
//!
//! let rejected = app.clone().oneshot(Request::get("/order").body(Body::empty())?).await?;
//! assert_eq!(rejected.headers()["retry-after"], "5");
//! let probed = app.oneshot(Request::get("/livez").body(Body::empty())?).await?;
//! assert_eq!(probed.status(), 200);
//!
//! let report = handle.wait_for_drain(Duration::from_secs(30)).await?;
//! assert_eq!(report.waited.as_secs(), 1);
//! # Ok(())
//! # }
//! ```
//!
#![cfg_attr(
    all(
        feature = "admin",
        feature = "agent",
        feature = "server",
        feature = "shutdown",
        feature = "stream",
        feature = "testing"
    ),
    doc = include_str!("guide.md")
)]
//!
//! # The parts
//!
//! - [`DrainLayer`] is what a router or a service stack is given; [`Drain`] is the service that it makes,
//!   [`ResponseFuture`] and [`ResponseBody`] are what that answers with.
//! - [`DrainHandle`] is for whoever stops the service: [`begin_lame_duck`](DrainHandle::begin_lame_duck),
//!   [`begin_shutdown`](DrainHandle::begin_shutdown), [`wait_for_drain`](DrainHandle::wait_for_drain) for a
//!   [`DrainReport`], [`stragglers`](DrainHandle::stragglers), [`cut`](DrainHandle::cut), and
//!   [`resume`](DrainHandle::resume) to take it back.
//! - [`DrainGuard`] and [`Tracked`] count what is not a request: an upgraded connection, a spawned task.
//! - [`Rejection`] is what newcomers get: [`Unavailable`], or a closure.
//!
//! # The phases
//!
//! | [`Phase`] | requests | HTTP/1 connections | readiness should say |
//! |---|---|---|---|
//! | [`Serving`](Phase::Serving) | served | kept alive | 200 |
//! | [`LameDuck`](Phase::LameDuck) | served | closed by the next answer | 503 |
//! | [`Draining`](Phase::Draining) | rejected; admitted ones go on | closed by the next answer | 503 |
//! | [`Drained`](Phase::Drained) | rejected; no admitted one is left | closed by the next answer | 503 |
//!
//! A lame duck is for those who route to the service: they need time to notice before the first 503.
//!
//! # What drained means
//!
//! Once [`wait_for_drain`](DrainHandle::wait_for_drain) is `Ok`, no admitted request runs, and none can be admitted
//! until a resume. The last frame was handed to the server, and may not be on the wire yet: let the server's own future
//! return before the process exits.
//!
//! # Where the layer goes
//!
//! - Outside queues and limits (`Buffer`, `ConcurrencyLimit`, `RateLimit`): what waits in one outside the layer is not
//!   counted yet, and rejected when its turn comes.
//! - Outside timeouts and catch-panic, whose answers belong to the request.
//! - Inside CORS, or a browser hides the 503 from its page; inside tracing and metrics, or they miss it.
//! - Probes are mounted outside, or [exempt](DrainLayer::exempt).
//! - Once in the path of a request: two layers of a handle count it twice.
//!
//! # What a layer cannot do
//!
//! It sees requests and no connections. It cannot send HTTP/2's GOAWAY or close an idle connection: use it beside the
//! graceful shutdown of the server. Nor can it keep a client from sending on a connection in the moment in which the
//! server closes it; the lame duck makes that rare.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

#[cfg(feature = "admin")]
mod admin;
#[cfg(feature = "agent")]
mod agent;
#[cfg(any(feature = "axum", feature = "server"))]
mod backlog;
mod body;
mod config;
mod connection;
mod contained;
#[cfg(any(feature = "agent", feature = "shutdown"))]
mod env;
mod error;
#[cfg(feature = "server")]
mod exempt;
#[cfg(feature = "shutdown")]
mod exit;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "shutdown")]
mod front;
mod future;
mod grpc;
mod guard;
mod handle;
mod head;
mod headers;
#[cfg(any(feature = "agent", feature = "shutdown"))]
mod latch;
mod layer;
mod lines;
#[cfg(feature = "axum")]
mod listener;
#[cfg(feature = "metrics")]
mod metrics;
mod nonce;
mod one_line;
mod phase;
#[cfg(feature = "shutdown")]
mod race;
mod reason;
mod rejection;
mod report;
mod seldom;
#[cfg(feature = "server")]
mod server;
mod service;
#[cfg(feature = "shutdown")]
mod shutdown;
mod slot;
#[cfg(any(feature = "stream", feature = "testing"))]
mod sse;
mod status;
#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod tracked;
mod tracker;
mod waiting;
#[cfg(any(feature = "agent", feature = "shutdown"))]
mod words;

pub use self::{
    body::ResponseBody,
    error::{BoxError, CutError, ResumeError, ShuttingDown},
    future::ResponseFuture,
    guard::{DrainGuard, GuardCut},
    handle::DrainHandle,
    head::RequestHead,
    layer::DrainLayer,
    nonce::DrainNonce,
    phase::Phase,
    reason::DrainReason,
    rejection::{Rejection, Unavailable},
    report::{DrainError, DrainReport},
    service::Drain,
    status::{DrainStatus, Straggler, StragglerPhase},
    tracked::Tracked,
    waiting::{Changed, Draining, Leaving, WaitForDrain},
};

#[cfg(feature = "admin")]
pub use self::admin::{
    Admin, AdminFuture, DrainSnapshot, Liveness, Readiness, StatusService, TokenError, DEFAULT_TTL,
};
#[cfg(feature = "agent")]
pub use self::agent::{BeatOutcome, Beating, GoodbyeListener, GoodbyeSaid, Heartbeat, Watchdog};
#[cfg(any(feature = "agent", feature = "shutdown"))]
pub use self::env::ConfigError;
#[cfg(feature = "stream")]
pub use self::error::BreakError;
#[cfg(feature = "axum")]
pub use self::extract::NoGuard;
#[cfg(feature = "stream")]
pub use self::stream::{
    DrainStreamExt, EndOnDrain, Goodbye, GoodbyeOnDrain, StreamHead, StreamPolicy,
};

#[cfg(feature = "shutdown")]
pub use self::{
    exit::AcceptClosed,
    front::FrontReport,
    shutdown::{
        Cut, HookOutcome, HookReport, HookStage, OnSignal, PhaseTimes, Shutdown, ShutdownReport,
        Signals, Stop, StopAccepting, Timeouts,
    },
};

#[cfg(feature = "axum")]
pub use self::listener::DrainListener;
#[cfg(feature = "metrics")]
pub use self::metrics::RecordMetrics;

#[cfg(all(feature = "server", unix))]
pub use self::server::UnixBacklog;
#[cfg(feature = "server")]
pub use self::server::{Accept, Handshaking, PeerAddr, Shaking, TcpBacklog};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
