//! What others put around a service to count its requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::task::task_tracker::{TaskTracker, TaskTrackerToken};
use tower::Service;

/// Something whose token is held until the response body is dropped.
pub(crate) trait Counter: Clone {
    type Token;

    fn token(&self) -> Self::Token;
}

impl Counter for TaskTracker {
    type Token = TaskTrackerToken;

    fn token(&self) -> TaskTrackerToken {
        TaskTracker::token(self)
    }
}

/// The counter that everybody writes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByHand(Arc<AtomicUsize>);

#[derive(Debug)]
pub(crate) struct ByHandToken(Arc<AtomicUsize>);

impl Counter for ByHand {
    type Token = ByHandToken;

    fn token(&self) -> ByHandToken {
        self.0.fetch_add(1, Ordering::Relaxed);
        ByHandToken(self.0.clone())
    }
}

impl Drop for ByHandToken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The middleware around such a counter.
#[derive(Clone, Debug)]
pub(crate) struct Counted<C, S> {
    pub(crate) counter: C,
    pub(crate) inner: S,
}

pin_project! {
    pub(crate) struct CountedFuture<F, T> {
        #[pin]
        future: F,
        token: Option<T>,
    }
}

pin_project! {
    pub(crate) struct CountedBody<B, T> {
        #[pin]
        body: B,
        token: T,
    }
}

impl<C, S, Q, B> Service<Request<Q>> for Counted<C, S>
where
    C: Counter,
    S: Service<Request<Q>, Response = Response<B>>,
{
    type Response = Response<CountedBody<B, C::Token>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future, C::Token>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        CountedFuture {
            token: Some(self.counter.token()),
            future: self.inner.call(request),
        }
    }
}

impl<F, T, B, E> Future for CountedFuture<F, T>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CountedBody<B, T>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let token = this.token.take().expect("polled after it was ready");
        Poll::Ready(Ok(response.map(|body| CountedBody { body, token })))
    }
}

impl<B: Body, T> Body for CountedBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
