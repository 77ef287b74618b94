//! The application as hyper calls it, with every request counted from the call to the last byte of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::HeldBody;
use super::held::{Exemption, Held};
use super::peer::Origin;
use super::tally::Tally;
use crate::connection::Peer;
use crate::exempt::Exemptible;
use crate::DrainHandle;

pub(super) struct Requests<S> {
    app: S,
    origin: Origin,
    tally: Arc<Tally>,
    handle: DrainHandle,
}

impl<S> Requests<S> {
    pub(super) fn new(app: S, origin: Origin, tally: Arc<Tally>, handle: DrainHandle) -> Self {
        Self {
            app,
            origin,
            tally,
            handle,
        }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
    B: Body,
{
    type Response = Response<HeldBody<B>>;
    type Error = S::Error;
    type Future = Answer<S, S::Future>;

    /// A request that comes behind a response from before the stop, whose connection could not be said to close, is
    /// served. Once requests are rejected it gets the layer's 503, unless clients and proxies repeat it by themselves
    /// upon the end of the connection, which they do with safe methods (RFC 9110, section 9.2.2) and not upon a 503.
    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let is_repeated = request.method().is_safe() && request.body().is_end_stream();
        let is_last = self.tally.notes.awaits_one.get();
        let refuses = is_last && is_repeated && self.handle.is_draining();
        let closes = is_last.then(|| Peer::of(&request));
        self.handle.exit().front.requested();
        let asked = Asked::of(&request);
        self.tally
            .called(asked.is_http2(), !request.body().is_end_stream());
        self.origin.put_into(request.extensions_mut());
        let exemption = (self.handle.exit().exempts()).then(|| {
            let exemption = Exemption::new(self.tally.clone());
            let exemptible = Exemptible::new(exemption.clone());
            request.extensions_mut().insert(exemptible);
            exemption
        });
        let held = Held::new(self.tally.clone(), exemption);
        Answer {
            state: match refuses {
                true => State::Refused,
                false => State::Called {
                    app: self.app.clone(),
                    request: Some(request),
                },
            },
            held: Some(held),
            asked,
            closes,
        }
    }
}

pin_project! {
    pub(super) struct Answer<S, F> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        state: State<S, F>,
        held: Option<Held>,
        asked: Asked,
        // The response ends the connection.
        closes: Option<Peer>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Called { app: S, request: Option<Request<Incoming>> },
        Refused,
        Running { #[pin] future: F },
    }
}

impl<S, B> Future for Answer<S, S::Future>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    B: Body,
{
    type Output = Result<Response<HeldBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Refused => {
                    if let Some(held) = &this.held {
                        held.tally().notes.refused.set(true);
                    }
                    return Poll::Pending;
                }
                StateProjection::Running { future } => {
                    let mut response = ready!(future.poll(cx))?;
                    if let Some(peer) = *this.closes {
                        response = peer.closed(response);
                    }
                    let held = this.held.take();
                    let http2 = this.asked.is_http2();
                    if let Some(held) = held.as_ref().filter(|_| !http2) {
                        this.asked.answered(&response, held.tally());
                    }
                    return Poll::Ready(Ok(response.map(|body| HeldBody::new(body, held, http2))));
                }
                StateProjection::Called { app, request } => {
                    ready!(app.poll_ready(cx))?;
                    let request = request.take().expect("a request is called once");
                    let future = app.call(request);
                    this.state.set(State::Running { future });
                }
            }
        }
    }
}

/// What of a request decides what its response does to the connection.
#[derive(Clone, Copy, Debug)]
struct Asked {
    version: Version,
    is_head: bool,
    is_connect: bool,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            version: request.version(),
            is_head: *request.method() == Method::HEAD,
            is_connect: *request.method() == Method::CONNECT,
        }
    }

    fn is_http2(self) -> bool {
        self.version == Version::HTTP_2
    }

    /// Tells the connection of a response over HTTP/1.
    fn answered<B: Body>(self, response: &Response<B>, tally: &Tally) {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success() {
            return tally.notes.upgraded.set(true);
        }
        // Without a length, HTTP/1.0 has no other end of a body (RFC 9112, section 6.3).
        let ends_with_connection = self.version.min(response.version()) <= Version::HTTP_10
            && !self.is_head
            && !response.body().is_end_stream()
            && response.body().size_hint().exact().is_none()
            && !response.headers().contains_key(CONTENT_LENGTH);
        tally.notes.answered(ends_with_connection);
    }
}
