//! One connection, from its handshake to its end.

use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, Instant, Sleep};
use tower_service::Service;

use super::io::Io;
use super::peer::Origin;
use super::requests::Requests;
use super::stopping::{Stopping, FIRST_REQUEST};
use super::streams::StreamsOwner;
use super::tally::{Tally, ABANDON, STOP};
use crate::one_line::OneLine;
use crate::{lines, words, BoxError, DrainHandle};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take from its first byte, and the first request from the connection's begin.
const HEAD: Duration = Duration::from_secs(30);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    /// Ended with a request, or with bytes that the peer had not taken.
    Unflushed,
}

impl Ended {
    /// Returns how a connection ended that was not abandoned.
    pub(super) fn by_itself(tally: &Tally) -> Self {
        match tally.notes.lost.get() {
            true => Self::Unflushed,
            false => Self::Done,
        }
    }
}

pub(super) async fn serve<H, T, S, B>(
    handshake: H,
    origin: Origin,
    app: S,
    handle: DrainHandle,
    tally: Arc<Tally>,
) -> Ended
where
    H: Future<Output = Result<T, BoxError>>,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let accepted = Instant::now();
    let Some(io) = shake(handshake, accepted, &tally).await else {
        return Ended::Done;
    };
    let streams = StreamsOwner::new(tally.clone());
    let ended = {
        let mut builder = Builder::new(streams.executor());
        // hyper's own timeout for a head would also close a connection that is idle between two requests.
        builder.http1().header_read_timeout(None);
        builder
            .http2()
            .timer(TokioTimer::new())
            .enable_connect_protocol();
        let requests = Requests::new(app, origin, tally.clone(), handle);
        let io = TokioIo::new(Io::new(io, tally.clone()));
        let connection = pin!(builder.serve_connection_with_upgrades(io, requests));
        drive(connection, accepted, &tally, |connection| {
            connection.graceful_shutdown();
        })
        .await
    };
    streams.end().await;
    ended
}

async fn shake<H, T>(handshake: H, accepted: Instant, tally: &Tally) -> Option<T>
where
    H: Future<Output = Result<T, BoxError>>,
{
    let mut handshake = pin!(handshake);
    let mut deadline = None;
    poll_fn(|cx| {
        let standing = tally.listen(cx.waker());
        if standing.was_told(ABANDON) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(shaken) = handshake.as_mut().poll(cx) {
            return Poll::Ready(match shaken {
                Ok(io) => Some(io),
                Err(error) => {
                    let words = words::of_last(error);
                    lines::write(
                        || tracing::debug!(target: "tower_drain", error = %OneLine(&words), "a handshake failed"),
                    );
                    None
                }
            });
        }
        let until = match standing.was_told(STOP) {
            true => accepted + FIRST_REQUEST,
            false => accepted + HANDSHAKE,
        };
        poll_until(&mut deadline, until, cx).map(|()| None)
    })
    .await
}

pub(super) fn poll_until(
    sleep: &mut Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if sleep.deadline() != deadline {
        sleep.as_mut().reset(deadline);
    }
    sleep.as_mut().poll(cx)
}

/// Serves until the connection ends. Once it is told to stop, or the time for a head has passed, it ends when it has
/// nothing left to do.
async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    accepted: Instant,
    tally: &Tally,
    graceful: impl FnOnce(Pin<&mut C>),
) -> Ended {
    let mut head = None;
    let has_ended = poll_fn(|cx| {
        if tally.listen(cx.waker()).was_told(STOP | ABANDON) {
            return Poll::Ready(false);
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        poll_head(&mut head, tally, cx).map(|()| false)
    })
    .await;
    if !has_ended {
        let mut stopping = Stopping::new(connection, accepted, tally, graceful);
        return poll_fn(|cx| stopping.poll(cx)).await;
    }
    Ended::by_itself(tally)
}

/// Ready when a head takes too long. There is no timer for a head that arrives at once.
fn poll_head(
    head: &mut Option<(Instant, Option<Pin<Box<Sleep>>>)>,
    tally: &Tally,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if !tally.awaits_head() {
        *head = None;
        return Poll::Pending;
    }
    let (deadline, sleep) = head.get_or_insert_with(|| (Instant::now() + HEAD, None));
    poll_until(sleep, *deadline, cx)
}
