//! Tests of your own service's shutdown: who is served, rejected, ended and cut, and what the report says.
//!
//! [`DrainTest`] takes the place of a server. It sends requests to a tower service, such as a `Router` with its layers,
//! and runs the real [`Shutdown`](crate::Shutdown) around it, hooks and timeouts included. There are no sockets, no
//! signals are sent, and the clock is tokio's paused one: a shutdown of five minutes is over in milliseconds, and the
//! same each time.
//!
//! ```toml
//! [dev-dependencies]
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! tower-drain = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # Example
//!
//! ```
//! # use std::time::Duration;
//! use axum::{routing::get, Router};
//! use tower_drain::testing::{DrainTest, End};
//! use tower_drain::{DrainHandle, DrainLayer, Phase, Shutdown};
//!
//! // The service, as `main` has it.
//! fn app(handle: &DrainHandle) -> Router {
//!     let answer = || async {
//!         tokio::time::sleep(Duration::from_secs(60)).await; // a model writes
//!         "an answer"
//!     };
//!     let layer = DrainLayer::from_handle(handle.clone());
//!     Router::new().route("/chat", get(answer)).layer(layer)
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! async fn a_deploy_loses_no_answer() {
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//!     let handle = DrainHandle::new();
//!     let test = DrainTest::new(app(&handle), handle.clone());
//!     let chat = test.open("/chat").await;
//!
//!     let shutdown = test.begin(Shutdown::new(handle)).await;
//!     test.assert_serves("/chat").await; // by a lame duck
//!     test.until(Phase::Draining).await;
//!     test.assert_rejects("/chat").await;
//!
//!     assert_eq!(chat.ended().await, End::Complete);
//!     let report = shutdown.report().await;
//!     assert!(report.is_complete(), "{report}");
//! }
//! ```
//!
//! Customised: event streams that a policy ends, one that has to be cut, and the guard of an upgraded connection.
//!
//! ```
//! # #[cfg(feature = "stream")]
//! # mod example {
//! # use std::convert::Infallible;
//! # use std::time::Duration;
//! use axum::response::sse::{Event, Sse};
//! use axum::{http::StatusCode, routing::get, Extension, Router};
//! use tower_drain::testing::{DrainTest, End};
//! use tower_drain::{DrainGuard, DrainHandle, DrainLayer, Goodbye, Shutdown, StreamPolicy, Timeouts};
//!
//! // In your code a WebSocket that says its goodbye.
//! async fn upgrade(Extension(guard): Extension<DrainGuard>) -> StatusCode {
//!     tokio::spawn(async move {
//!         guard.draining().await;
//!         tokio::time::sleep(Duration::from_secs(2)).await;
//!     });
//!     StatusCode::SWITCHING_PROTOCOLS
//! }
//!
//! fn app(handle: &DrainHandle) -> Router {
//!     // An event, and then silence.
//! #   use futures_util::StreamExt;
//!     let events = || async {
//!         let first = async { Ok::<_, Infallible>(Event::default().data("1")) };
//!         Sse::new(futures_util::stream::once(first).chain(futures_util::stream::pending()))
//!     };
//!     let layer = DrainLayer::from_handle(handle.clone())
//!         .stream_policy(|head| match head.uri().path() {
//!             "/prices" => StreamPolicy::End,
//!             _ => StreamPolicy::Wait,
//!         })
//!         .goodbye(Goodbye::event("goodbye").data("deploying"))
//!         .share_guard();
//!     Router::new()
//!         .route("/prices", get(events))
//!         .route("/held", get(events))
//!         .route("/ws", get(upgrade))
//!         .layer(layer)
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! async fn a_price_stream_says_goodbye_and_a_silent_one_is_cut() {
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # pub async fn main() {
//!     let handle = DrainHandle::new();
//!     let test = DrainTest::new(app(&handle), handle.clone());
//!     let mut prices = test.open("/prices").await;
//!     let held = test.open("/held").await;
//!     let upgraded = test.open("/ws").await;
//!     assert_eq!(upgraded.ended().await, End::Complete);
//!     assert_eq!(handle.in_flight(), 3); // the guard is counted
//!     assert_eq!(prices.next_event().await.as_deref(), Some("data: 1"));
//!
//!     let timeouts = Timeouts::default().drain(Duration::from_secs(20));
//!     let shutdown = test.begin(Shutdown::new(handle).timeouts(timeouts)).await;
//!     let goodbye = prices.next_event().await;
//!     assert_eq!(goodbye.as_deref(), Some("event: goodbye\ndata: deploying"));
//!     assert_eq!(prices.ended().await, End::Complete);
//!     assert!(held.is_open().await);
//!     assert_eq!(held.ended().await, End::Cut);
//!
//!     let report = shutdown.report().await;
//!     assert_eq!((report.in_flight, report.cut), (3, 1));
//!     assert_eq!(report.phases.drain.as_secs(), 20);
//!     assert!(report.still_held.is_empty(), "{report}"); // the guard is gone
//! }
//! # }
//! # #[cfg(feature = "stream")]
//! # example::main();
//! ```
//!
//! # What it sees
//!
//! - An [`OpenRequest`] [`ended`](OpenRequest::ended) as its client would say: an answer with fewer bytes than promised,
//!   an event stream that stops inside an event and a gRPC call without a status are [`End::Failed`].
//! - Who is told: [`next_event`](OpenRequest::next_event) for goodbyes,
//!   [`closes_connection`](OpenRequest::closes_connection) for HTTP/1 clients, and for guards what their tasks do.
//! - Who holds the drain: [`DrainHandle::stragglers`](crate::DrainHandle::stragglers).
//! - Time: `tokio::time::Instant`, `tokio::time::sleep` and timeouts all follow the paused clock. What reads the clock of
//!   the system, blocks a thread or does input and output does not, and is better replaced for such a test.
//!
//! Connections are not part of it: the GOAWAY, the closing of idle ones and half a request line take a socket. So does a
//! WebSocket's handshake, but not the guard that its task holds.
//!
//! # A drain without an end of the process
//!
//! `handle.begin_shutdown()`, `cut()` and `resume(..)` are called on the handle as ever. Each look of an [`OpenRequest`]
//! that is awaited lets everything run first that can.

mod clock;
mod drain_test;
mod end;
mod events;
mod exchange;
mod open_request;
mod running;

pub use self::{drain_test::DrainTest, end::End, open_request::OpenRequest, running::Running};
