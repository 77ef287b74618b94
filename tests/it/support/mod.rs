//! Services, bodies and handlers that do what a test says, when it says so.

mod app;
mod body;
mod handlers;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::{Method, Request, Version};
use http_body::{Body, Frame};
use tokio_test::task::Spawn;
use tower::Service;
use tower_drain::DrainHandle;

pub(crate) use self::app::{answer, App, Opened};
pub(crate) use self::body::{Script, TestBody};
pub(crate) use self::handlers::{Call, Handlers, Inner};

/// What [`poll_frame`] returns of a body `B`.
pub(crate) type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Notes, when it is dropped, how many are in flight: what holds it must be dropped while it is still counted.
#[derive(Debug)]
pub(crate) struct DropProbe {
    handle: DrainHandle,
    seen: std::sync::mpsc::Sender<usize>,
}

/// A probe, and what it saw.
pub(crate) fn drop_probe(handle: &DrainHandle) -> (DropProbe, std::sync::mpsc::Receiver<usize>) {
    let (seen, receiver) = std::sync::mpsc::channel();
    let handle = handle.clone();
    (DropProbe { handle, seen }, receiver)
}

impl Drop for DropProbe {
    fn drop(&mut self) {
        let _ = self.seen.send(self.handle.in_flight());
    }
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

pub(crate) fn request(method: Method, version: Version, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).version(version).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

pub(crate) fn grpc() -> Request<()> {
    let headers = [("content-type", "application/grpc")];
    request(Method::POST, Version::HTTP_2, &headers)
}

/// Polls without a task that could be woken.
pub(crate) fn poll_ready<S: Service<Request<()>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(noop_waker_ref()))
}

pub(crate) fn poll_frame<B: Body>(body: &mut Spawn<B>) -> Polled<B> {
    body.enter(|cx, body| body.poll_frame(cx))
}

/// The next frame's data, of a body that has one ready.
pub(crate) fn data<B: Body<Data = Bytes, Error = tower_drain::BoxError>>(
    body: &mut Spawn<B>,
) -> Bytes {
    match poll_frame(body) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("data, not trailers"),
        other => panic!("data expected, not {other:?}"),
    }
}

/// Everything of a body whose frames are all ready, without its trailers.
pub(crate) fn text<B: Body<Data = Bytes, Error = tower_drain::BoxError>>(body: B) -> String {
    let mut body = std::pin::pin!(body);
    let mut text = Vec::new();
    let mut cx = Context::from_waker(noop_waker_ref());
    while let Poll::Ready(Some(frame)) = Pin::as_mut(&mut body).poll_frame(&mut cx) {
        text.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    String::from_utf8(text).unwrap()
}

/// Panics without a message and a backtrace, of which the tests that end many requests so would print too many.
pub(crate) fn unwind() -> ! {
    std::panic::resume_unwind(Box::new("the test says so"))
}

pub(crate) fn unwind_if(says_so: bool) {
    if says_so {
        unwind()
    }
}

/// Whether this panics.
pub(crate) fn panics<T>(run: impl FnOnce() -> T) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}
