//! One request, the way a server makes it, and the bare service under every candidate.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{ready, Future, Ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{Empty, Full};
use tower::Service;

pub(crate) type RequestBody = Empty<Bytes>;

/// Answers at once.
#[derive(Clone, Debug)]
pub(crate) struct Hello;

impl Service<Request<RequestBody>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

/// A path that this thread alone counts references to, as a server has one for each request it parsed.
pub(crate) fn own_path() -> PathAndQuery {
    let path = PathAndQuery::from_maybe_shared(Bytes::from("/items/123".to_owned()));
    let path = path.expect("the path is valid");
    // Only the first clone of these bytes allocates.
    drop(path.clone());
    path
}

/// Clones, readies and calls the service, reads the answer and drops it, `requests` times.
pub(crate) fn turns<S, B>(prototype: &S, requests: u64)
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Debug,
    B: Body,
{
    let path = own_path();
    let mut context = Context::from_waker(noop_waker_ref());
    for _ in 0..requests {
        turn(black_box(prototype), &path, &mut context);
    }
}

#[inline(never)]
fn turn<S, B>(prototype: &S, path: &PathAndQuery, context: &mut Context<'_>)
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Debug,
    B: Body,
{
    let mut service = prototype.clone();
    assert!(service.poll_ready(context).is_ready());
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from(path.clone());
    let response = {
        let mut future = pin!(service.call(request));
        drop(service);
        match future.as_mut().poll(context) {
            Poll::Ready(answer) => answer.expect("the service does not fail"),
            Poll::Pending => panic!("the service answers at once"),
        }
    };
    let mut body = pin!(black_box(response).into_body());
    while !body.is_end_stream() {
        match body.as_mut().poll_frame(context) {
            Poll::Ready(Some(frame)) => drop(black_box(frame)),
            Poll::Ready(None) => break,
            Poll::Pending => panic!("the body is there at once"),
        }
    }
}
