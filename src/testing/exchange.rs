//! A request and its answer: one task each, which reads as a client does that is always ready for more.

use std::fmt;
use std::future::{poll_fn, Future};
use std::pin::pin;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;
use tower_service::Service;

use super::{events, End};
use crate::{BoxError, DrainHandle};

/// What the client of a request has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) data: Vec<u8>,
    pub(super) trailers: HeaderMap,
    pub(super) is_rejected: bool,
    pub(super) end: Option<End>,
}

/// In words for whoever expected something else.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.status.map(|status| status.as_u16()) else {
            return match &self.end {
                Some(end) => write!(f, "it is {end}, without an answer"),
                None => f.write_str("its handler has not answered"),
            };
        };
        match &self.end {
            Some(end) => write!(f, "it is {end}, with status {status}")?,
            None => write!(f, "its body is open, with status {status}")?,
        }
        match events::all(&self.data).0.last() {
            Some(event) => write!(f, " and {event:?} as its last event"),
            None => write!(f, " and {} bytes", self.data.len()),
        }
    }
}

/// How many exchanges are open, which is what a stopping server waits for.
#[derive(Debug)]
struct Ticket(watch::Sender<usize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Publishes an end also if the exchange unwinds.
struct Publisher(watch::Sender<Seen>);

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.send_if_modified(|seen| {
            let has_ended = seen.end.is_some();
            let panicked = || End::Failed("the service panicked".into());
            seen.end.get_or_insert_with(panicked);
            !has_ended
        });
    }
}

pub(super) fn exchange<S, B>(
    service: S,
    request: Request<Full<Bytes>>,
    handle: DrainHandle,
    open: &watch::Sender<usize>,
) -> (impl Future<Output = ()>, watch::Receiver<Seen>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    open.send_modify(|open| *open += 1);
    let ticket = Ticket(open.clone());
    let (seen, receiver) = watch::channel(Seen::default());
    let task = async move {
        let _ticket = ticket;
        let publisher = Publisher(seen);
        let seen = &publisher.0;
        let method = request.method().clone();
        let end = follow(service, request, &handle, seen).await;
        seen.send_modify(|seen| {
            let end = end.unwrap_or_else(|| End::of(&method, seen));
            seen.end = Some(end);
        });
    };
    (task, receiver)
}

/// Until the answer's last frame, or the error in whose stead it stands.
async fn follow<S, B>(
    service: S,
    request: Request<Full<Bytes>>,
    handle: &DrainHandle,
    seen: &watch::Sender<Seen>,
) -> Option<End>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    let response = match answer(service, request, handle, seen).await {
        Ok(response) => response,
        Err(error) => return Some(End::by(error)),
    };
    let (head, body) = response.into_parts();
    seen.send_modify(|seen| {
        seen.status = Some(head.status);
        seen.headers = head.headers;
    });
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => seen.send_modify(|seen| seen.add(frame)),
            Err(error) => return Some(End::by(error.into())),
        }
    }
    None
}

async fn answer<S, B>(
    mut service: S,
    request: Request<Full<Bytes>>,
    handle: &DrainHandle,
    seen: &watch::Sender<Seen>,
) -> Result<Response<B>, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    let mut answered = pin!(async move {
        if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
            return Err(error.into());
        }
        service.call(request).await.map_err(Into::into)
    });
    poll_fn(|cx| {
        // The layer may be anywhere in the stack, and its rejection any answer: but nothing else runs meanwhile.
        let rejected = handle.status().rejected;
        let polled = answered.as_mut().poll(cx);
        if handle.status().rejected > rejected {
            seen.send_modify(|seen| seen.is_rejected = true);
        }
        polled
    })
    .await
}

impl Seen {
    fn add<D: Buf>(&mut self, frame: http_body::Frame<D>) {
        let frame = match frame.into_data() {
            Ok(mut data) => {
                let data = data.copy_to_bytes(data.remaining());
                return self.data.extend_from_slice(&data);
            }
            Err(frame) => frame,
        };
        if let Ok(trailers) = frame.into_trailers() {
            self.trailers.extend(trailers);
        }
    }
}
