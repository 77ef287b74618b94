//! The server behind `serve`: an accept loop and connections that know when they have nothing left to do.

mod accept;
mod backlog;
mod body;
mod connection;
mod connections;
mod door;
mod handshake;
mod io;
mod leaving;
mod peer;
mod requests;
mod router;
mod serve;
mod streams;
mod tally;
#[cfg(test)]
mod tests;

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;

#[cfg(unix)]
pub use self::backlog::UnixBacklog;
pub use self::{
    accept::Accept,
    backlog::TcpBacklog,
    handshake::{Handshaking, Shaking},
    peer::PeerAddr,
};

use self::connections::Connections;
use self::door::Door;
use self::peer::Origin;
use self::tally::{DRAINED, STOP};
use crate::shutdown::stages::{Served, ServerStages};
use crate::{BoxError, DrainHandle, Phase};

/// Serves `app` until the stages end it.
///
/// It returns when the socket is closed, the stop has come and no connection is left, or else upon `abandon`.
/// Dropping the future drops the socket and every connection.
pub(crate) async fn serve_connections<L, S, B>(
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
    let mut connections = Connections::new(stages.connections);
    let mut accept_closed = Once::new(stages.accept_closed);
    let mut stop = Once::new(stages.stop);
    let mut abandon = Once::new(stages.abandon);
    let mut drained = Once::new(drained(handle));

    loop {
        if stop.is_over && door.is_closed() && connections.is_empty() {
            return Ok(Served { unflushed: 0 });
        }
        let event = poll_fn(|cx| {
            if abandon.poll(cx) {
                Poll::Ready(Event::Abandon)
            } else if accept_closed.poll(cx) {
                Poll::Ready(Event::CloseDoor)
            } else if stop.poll(cx) {
                Poll::Ready(Event::Stop)
            } else if stop.is_over && drained.poll(cx) {
                Poll::Ready(Event::Drained)
            } else if connections.poll_ended(cx).is_ready() {
                Poll::Ready(Event::Ended)
            } else if !door.is_closed() {
                door.poll_next(cx).map(Event::Accepted)
            } else {
                Poll::Pending
            }
        });
        match event.await {
            Event::Accepted(Some((handshake, peer))) => connections.add(|tally| {
                connection::serve(handshake, Origin::new(PeerAddr(peer)), app.clone(), tally)
            }),
            Event::Accepted(None) => {
                connections.stops_listening();
                if stop.is_over {
                    connections.tell(STOP);
                }
            }
            Event::Ended => {}
            Event::CloseDoor => door.close(),
            Event::Stop => connections.tell(STOP),
            Event::Drained => connections.tell(DRAINED),
            Event::Abandon => {
                drop(door);
                let unflushed = connections.abandon().await;
                return Ok(Served { unflushed });
            }
        }
    }
}

enum Event<C> {
    Accepted(Option<C>),
    Ended,
    CloseDoor,
    Stop,
    Drained,
    Abandon,
}

/// A future that says once that it is over.
struct Once<F> {
    future: Pin<Box<F>>,
    is_over: bool,
}

impl<F: Future<Output = ()>> Once<F> {
    fn new(future: F) -> Self {
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
