//! `Shutdown::serve`, and the loop behind it.

use std::future::{pending, poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::connections::Connections;
use super::delivery::{Carrier, Reading};
use super::door::Door;
use super::peer::Origin;
use super::tally::{DRAINED, STOP};
use super::{connection, router, Accept, PeerAddr};
use crate::shutdown::stages::{Served, ServerStages};
use crate::{BoxError, DrainHandle, Phase, Shutdown, ShutdownReport};

impl Shutdown {
    /// Serves `app`, HTTP/1 and HTTP/2, until the sequence is over. It stands in place of `axum::serve`.
    ///
    /// ```no_run
    /// # use axum::{routing::get, Router};
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
    /// `listener` is a `TcpListener`, a `UnixListener`, one of them with a [handshake](Accept::handshake) on top, or
    /// your own [`Accept`]. `app` is any tower service, cloned for each request; it finds its peer's address as
    /// [`PeerAddr`] in the extensions. An error of it ends the connection without an answer.
    ///
    /// axum's `Router` builds its fallback anew for every request, and the layers around it, until it has its state.
    /// With the feature `axum` that is done here once; without it, or where the router is inside of another service,
    /// give it `router.with_state(())`.
    ///
    /// # Connections
    ///
    /// - A handshake may take 10 s. A new connection has 30 s for its first request. Over HTTP/1, each later head may take
    ///   30 s from its first byte; over HTTP/2, later heads have no limit. In between, a connection may be idle for as
    ///   long as the peer likes.
    /// - When the listening socket closes, the connections that the operating system has let in are still accepted.
    /// - When connections are told to stop, requests that have arrived are answered first. HTTP/1 then answers with
    ///   `connection: close`, and HTTP/2 sends GOAWAY. Requests in flight are waited for. An idle connection is closed
    ///   at once, except that a peer that was accepted less than 500 ms ago may still send its first request, and that
    ///   one of HTTP/2 has 500 ms to answer the ping behind the GOAWAY.
    /// - An HTTP/1 response that began before the stop could not say that the connection closes. After it, the connection
    ///   stays open for 500 ms, for a request that may be on its way. Until requests are rejected, that request is
    ///   served. From then on it gets the 503. A safe request without a body gets no answer instead: the connection
    ///   closes, and clients and proxies repeat the request.
    /// - At any time, a client that ends its side of the connection counts as gone, and its handler is dropped: a client
    ///   that gives up looks the same. So a client must not half-close before its response begins.
    ///
    /// # What "sent" means
    ///
    /// A socket takes megabytes before the peer has any of them. So a connection that has sent a response is closed only
    /// when its peer has it: when the peer's system has acknowledged everything (on Linux, from `/proc/net/tcp`), when a
    /// peer of HTTP/2 has answered a ping behind the last byte, or when the peer has closed as well. Over a Unix socket the
    /// peer has what was written. Where none of these can be known, such as on other systems, a peer is given 5 s of
    /// silence, and counts as served if the response was small and went out at once. The whole wait lasts at most for what is
    /// left of the drain plus `close`. For requests that do not pass the layer, it is `close`.
    ///
    /// What is left then is dropped, and each connection that still had a request, or bytes that its peer did not have,
    /// is counted as [`unflushed`](ShutdownReport::unflushed). So is each one that was still in the backlog.
    ///
    /// - A client that is still sending its body when it is answered is listened to until it stops, for at most 30 s, so
    ///   that it gets to read the response (as nginx does with `lingering_close`). During a stop this ends with the wait
    ///   above.
    /// - A body of HTTP/1.0 without a length ends with its connection. If it is cut, breaks or is dropped, a TCP connection
    ///   ends in a reset, so that it does not look whole. Over TLS it ends without a `close_notify`. A Unix socket has
    ///   neither, and the end looks clean.
    /// - A request that is [exempt](crate::DrainLayer::exempt) is served until the drain is over, and then dropped. It
    ///   neither holds `close` nor counts as lost.
    /// - An upgraded connection belongs to the code that took it, and holds the drain by its
    ///   [guard](crate::DrainGuard) only. One through HTTP/2 ends with the connection under it, which stays until the
    ///   drain is over.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`](crate::ConfigError), before anything is accepted; the socket is closed then. Errors of single
    /// connections end those; errors of accepting are logged, and accepting goes on, at once or
    /// [after a pause](Accept#errors-of-accepting).
    ///
    /// # Panics
    ///
    /// In a tokio runtime without time. A panic of a trigger is passed on. One of a handler ends its connection, or its
    /// stream of HTTP/2, and one of the listener counts as an error of accepting.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping it drops the socket, every connection, the servers beside and the hooks.
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

/// Serves `app` until the stages end it.
///
/// It returns when the socket is closed, the stop has come and no connection is left, or else upon `abandon`.
/// Dropping the future drops the socket and every connection.
pub(super) async fn serve_connections<L, S, B>(
    listener: L,
    app: S,
    handle: DrainHandle,
    stages: ServerStages,
) -> Result<Served, BoxError>
where
    L: Accept,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let app = router::ready(app);
    let mut door = Door::new(listener);
    handle.exit().front.counts();
    let mut connections = Connections::new(stages.connections);
    let mut accept_closed = Once::new(stages.accept_closed);
    let mut stop = Once::new(stages.stop);
    let mut looked = Once::new(pending());
    let mut overdue = Once::new(stages.overdue);
    let mut abandon = Once::new(stages.abandon);
    let mut drained = Once::new(drained(handle.clone()));

    loop {
        if stop.is_over && door.is_closed() && connections.is_empty() {
            let unflushed = connections.unflushed();
            return Ok(Served { unflushed });
        }
        let event = poll_fn(|cx| {
            connections.poll_read(cx);
            if abandon.poll(cx) {
                Poll::Ready(Event::Abandon)
            } else if accept_closed.poll(cx) {
                Poll::Ready(Event::CloseDoor)
            } else if stop.poll(cx) {
                Poll::Ready(Event::Stop)
            } else if looked.poll(cx) {
                Poll::Ready(Event::Looked)
            } else if stop.is_over && drained.poll(cx) {
                // Final from the stop on: the drain of a shutdown is not taken back.
                Poll::Ready(Event::Drained)
            } else if overdue.poll(cx) {
                Poll::Ready(Event::Overdue)
            } else if connections.poll_ended(cx).is_ready() {
                Poll::Ready(Event::Ended)
            } else if !door.is_closed() {
                door.poll_next(cx).map(Event::Accepted)
            } else {
                Poll::Pending
            }
        });
        match event.await {
            Event::Accepted(Some((handshake, peer))) => {
                handle.exit().front.connected();
                connections.add(Carrier::of(&peer), |tally| {
                    let origin = Origin::new(PeerAddr(peer));
                    connection::serve(handshake, origin, app.clone(), handle.clone(), tally)
                });
            }
            Event::Accepted(None) => connections.stops_listening(),
            Event::Ended => {}
            Event::CloseDoor => door.close(),
            Event::Stop => looked = Once::new(look(connections.len(), connections.read())),
            Event::Looked => connections.tell(STOP),
            Event::Drained => connections.tell(DRAINED),
            Event::Overdue => connections.abandon_running(),
            Event::Abandon => {
                look_at_queues(connections.read()).await;
                let unflushed = connections.abandon().await;
                return Ok(Served {
                    unflushed: unflushed + door.abandon(),
                });
            }
        }
    }
}

enum Event<C> {
    Accepted(Option<C>),
    Ended,
    CloseDoor,
    Stop,
    Looked,
    Drained,
    Overdue,
    Abandon,
}

/// Waits until the runtime has looked at its sockets, so that a request that has come is seen before its connection is
/// told to stop. The send queues are read meanwhile.
///
/// The runtime asks the system for events in turns, of 1024 at most unless it was built for fewer, and fires the timers
/// of a turn after its events. So each timer that fires here was behind a turn that began after it was set; one more,
/// for a turn that was under way on another thread. A yield would promise nothing of that.
async fn look(connections: usize, queues: Reading) {
    const EVENTS_A_TURN: usize = 512;
    /// Well below a settling, behind which requests are rejected.
    const MOST_TURNS: usize = 64;
    for _ in 0..(2 + connections / EVENTS_A_TURN).min(MOST_TURNS) {
        sleep(Duration::from_millis(1)).await;
    }
    look_at_queues(queues).await;
}

/// Waits for a reading, but not for long: connections that have none ask for one.
async fn look_at_queues(mut queues: Reading) {
    const LONG: Duration = Duration::from_millis(100);
    let _ = timeout(LONG, poll_fn(|cx| queues.poll(cx))).await;
}

/// A future that says once that it is over.
struct Once {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_over: bool,
}

impl Once {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            future: Box::pin(future),
            is_over: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let is_news = !self.is_over && self.future.as_mut().poll(cx).is_ready();
        self.is_over |= is_news;
        is_news
    }
}

async fn drained(handle: DrainHandle) {
    loop {
        let changed = handle.changed();
        if handle.phase() == Phase::Drained {
            return;
        }
        changed.await;
    }
}
