//! The application as hyper calls it, with every request counted from the call to the last byte of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, Version};
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
use crate::front::Probe;
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
        let exit = self.handle.exit();
        let late = exit.front.requested().then(|| self.handle.clone());
        let has_body = !request.body().is_end_stream();
        let is_last = self.tally.notes.awaits_one.get();
        let is_repeated = request.method().is_safe() && !has_body;
        let is_refused = is_last && is_repeated && self.handle.is_draining();
        let asked = Asked {
            peer: Peer::of(&request),
            is_head: *request.method() == Method::HEAD,
            is_last,
        };
        self.tally.called(asked.is_http2(), has_body);
        self.origin.put_into(request.extensions_mut());
        let exemption = exit.exempts().then(|| {
            let exemption = Exemption::new(self.tally.clone());
            let exemptible = Exemptible::new(exemption.clone());
            request.extensions_mut().insert(exemptible);
            exemption
        });
        let held = Held::new(self.tally.clone(), exemption);
        Answer {
            state: match is_refused {
                true => State::Refused,
                false => State::Called {
                    app: self.app.clone(),
                    request: Some(request),
                },
            },
            held: Some(held),
            asked,
            late,
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
        // The request came in the last second of the lame duck.
        late: Option<DrainHandle>,
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
                    if let Some(held) = this.held.take() {
                        held.tally().notes.refused.set(true);
                    }
                    return Poll::Pending;
                }
                StateProjection::Running { future } => {
                    let response = ready!(future.poll(cx))?;
                    if let Some(handle) = this.late.as_ref().filter(|_| Probe::is_in(&response)) {
                        handle.exit().front.probed();
                    }
                    let held = this.held.take();
                    let response = match &held {
                        Some(held) => this.asked.answered(response, held.tally()),
                        None => response,
                    };
                    let http2 = this.asked.is_http2();
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
    peer: Peer,
    is_head: bool,
    /// Its response ends the connection.
    is_last: bool,
}

impl Asked {
    fn is_http2(self) -> bool {
        self.peer.version() == Version::HTTP_2
    }

    /// Notes what the response does to the connection, which is nothing over HTTP/2.
    fn answered<B: Body>(self, mut response: Response<B>, tally: &Tally) -> Response<B> {
        if self.is_http2() {
            return response;
        }
        if self.is_last {
            response = self.peer.closed(response);
        }
        if self.peer.tunnels(response.status()) {
            tally.notes.upgraded.set(true);
            return response;
        }
        // Without a length, HTTP/1.0 has no other end of a body (RFC 9112, section 6.3).
        let ends_with_connection = self.peer.version().min(response.version()) <= Version::HTTP_10
            && !self.is_head
            && !response.body().is_end_stream()
            && response.body().size_hint().exact().is_none()
            && !response.headers().contains_key(CONTENT_LENGTH);
        tally.notes.answered(ends_with_connection);
        response
    }
}
