//! The application as hyper calls it, with every request counted from the call to the last byte of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use http::{Request, Response, Version};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::HeldBody;
use super::peer::Origin;
use super::tally::{Held, Tally};

pub(super) struct Requests<S> {
    app: S,
    origin: Origin,
    tally: Arc<Tally>,
}

impl<S> Requests<S> {
    pub(super) fn new(app: S, origin: Origin, tally: Arc<Tally>) -> Self {
        Self { app, origin, tally }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<HeldBody<B>>;
    type Error = S::Error;
    type Future = Answer<S, S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let http2 = request.version() == Version::HTTP_2;
        let held = self.tally.request(http2);
        self.origin.put_into(request.extensions_mut());
        Answer {
            state: State::Called {
                app: self.app.clone(),
                request: Some(request),
            },
            held: Some(held),
            http2,
        }
    }
}

pin_project! {
    pub(super) struct Answer<S, F> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        state: State<S, F>,
        held: Option<Held>,
        http2: bool,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Called { app: S, request: Option<Request<Incoming>> },
        Running { #[pin] future: F },
    }
}

impl<S, B> Future for Answer<S, S::Future>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Output = Result<Response<HeldBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Running { future } => {
                    let response = ready!(future.poll(cx))?;
                    let held = this.held.take();
                    let http2 = *this.http2;
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
