//! Open response bodies: bytes each, and the time from the begin of a drain to the last one told, beside what is wired
//! by hand from a `CancellationToken` and a `TaskTracker`.
//!
//! `cargo bench --features stream --bench streams`. All bodies are polled to pending, each with a waker of its own; then the drain
//! begins, and whoever is woken is polled until it ends. Best of some rounds in which the candidates take turns.

mod common;

use std::alloc::System;
use std::convert::Infallible;
use std::env;
use std::future::{pending, ready, Future, Pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderValue, CONTENT_TYPE};
use http::{Request, Response};
use http_body::{Body, Frame};
use stats_alloc::{Region, StatsAlloc, INSTRUMENTED_SYSTEM};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{service_fn, Layer, Service};
use tower_drain::{DrainHandle, DrainLayer, Goodbye, Rejection, StreamHead, StreamPolicy};

use common::peers::Counted;
use common::report::{Report, Target};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A body that ends when its future does, with these last bytes if there are any.
struct Until<F> {
    future: Pin<Box<F>>,
    goodbye: Option<Bytes>,
    ended: bool,
}

impl<F> Until<F> {
    fn new(future: F, goodbye: Option<Bytes>) -> Self {
        Self {
            future: Box::pin(future),
            goodbye,
            ended: false,
        }
    }
}

impl<F: Future> Body for Until<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.ended {
            task::ready!(self.future.as_mut().poll(cx));
            self.ended = true;
        }
        Poll::Ready(self.goodbye.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Notes which body is to be polled.
struct Told {
    index: usize,
    queue: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.queue.lock().expect("no panic").push(self.index);
    }
}

struct Measured {
    bytes: f64,
    time: Duration,
}

/// Opens `count` bodies, begins, and polls until all have ended.
fn measure<S, B>(mut service: S, count: usize, begin: impl FnOnce()) -> Measured
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let queue = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let wakers: Vec<Waker> = (0..count)
        .map(|index| {
            let queue = queue.clone();
            Waker::from(Arc::new(Told { index, queue }))
        })
        .collect();
    let mut bodies = Vec::with_capacity(count);
    let region = Region::new(ALLOCATOR);
    for waker in &wakers {
        let mut cx = Context::from_waker(waker);
        assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
        let request = Request::get("/events").body(()).expect("it is valid");
        let mut answer = Box::pin(service.call(request));
        let Poll::Ready(Ok(response)) = answer.as_mut().poll(&mut cx) else {
            panic!("the service answers at once");
        };
        let mut body = Box::pin(response.into_body());
        assert!(body.as_mut().poll_frame(&mut cx).is_pending());
        bodies.push(Some(body));
    }
    let change = region.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) as f64 / count as f64;

    let start = Instant::now();
    begin();
    let mut open = count;
    while open > 0 {
        let told = std::mem::take(&mut *queue.lock().expect("no panic"));
        assert!(!told.is_empty(), "{open} bodies were not told");
        for index in told {
            let mut cx = Context::from_waker(&wakers[index]);
            let Some(body) = &mut bodies[index] else {
                continue;
            };
            let end = loop {
                match body.as_mut().poll_frame(&mut cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => break true,
                    Poll::Pending => break false,
                }
            };
            if end {
                bodies[index] = None;
                open -= 1;
            }
        }
    }
    let time = start.elapsed();
    Measured { bytes, time }
}

const GOODBYE: &[u8] = b"event: goodbye\ndata: bye\n\n";

fn by_hand(count: usize, goodbye: Option<Bytes>) -> Measured {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let stop = token.clone();
    let inner = service_fn(move |_: Request<()>| {
        let body = Until::new(stop.clone().cancelled_owned(), goodbye.clone());
        ready(Ok(events(body)))
    });
    let counter = tracker.clone();
    let measured = measure(Counted { counter, inner }, count, || token.cancel());
    assert!(tracker.is_empty());
    measured
}

fn draining(count: usize) -> Measured {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        ready(Ok(events(Until::new(handle.draining(), None))))
    }));
    let handle = layer.handle();
    let measured = measure(service, count, || assert!(handle.begin_shutdown()));
    assert_eq!(handle.in_flight(), 0);
    measured
}

fn endless<R>(layer: &DrainLayer<R>, count: usize, begin: impl FnOnce(&DrainHandle)) -> Measured
where
    R: Rejection<Until<Pending<()>>>,
{
    let handle = layer.handle();
    let service = layer.layer(service_fn(|_: Request<()>| {
        ready(Ok(events(Until::new(pending(), None))))
    }));
    let measured = measure(service, count, || begin(&handle));
    assert_eq!(handle.in_flight(), 0);
    measured
}

fn cut(count: usize) -> Measured {
    endless(&DrainLayer::new(), count, |handle| {
        assert_eq!(handle.cut(), count);
    })
}

fn policy(count: usize) -> Measured {
    let layer = DrainLayer::new()
        .stream_policy(|_: &StreamHead<'_>| StreamPolicy::End)
        .goodbye(Goodbye::raw(GOODBYE));
    endless(&layer, count, |handle| assert!(handle.begin_shutdown()))
}

fn events<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    let event_stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, event_stream);
    response
}

/// Each in turn, several times: the best time, and the bytes, which are always the same.
fn best<const N: usize>(rounds: usize, candidates: [&dyn Fn() -> Measured; N]) -> [Measured; N] {
    let mut all = candidates.map(|candidate| candidate());
    for _ in 1..rounds {
        for (best, candidate) in all.iter_mut().zip(candidates) {
            best.time = best.time.min(candidate().time);
        }
    }
    all
}

fn compare(report: &mut Report, what: &str, measured: &Measured, hand: &Measured) {
    report.row(
        &format!("{what}: bytes more each"),
        measured.bytes - hand.bytes,
        0,
        Target::AtMost(100.0, 200.0),
    );
    report.row(
        &format!("{what}: time, of by hand's"),
        measured.time.as_secs_f64() / hand.time.as_secs_f64(),
        2,
        Target::AtMost(1.0, 1.5),
    );
}

fn main() {
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut report = Report::new("streams");
    for (count, rounds) in [(10_000, 15), (100_000, 5)] {
        let says_goodbye = || by_hand(count, Some(Bytes::from_static(GOODBYE)));
        let [hand, draining, cut, hand_goodbye, policy] = best(
            rounds,
            [
                &|| by_hand(count, None),
                &|| draining(count),
                &|| cut(count),
                &says_goodbye,
                &|| policy(count),
            ],
        );
        let what = format!("{count} streams");
        report.row(
            &format!("{what}, by hand: bytes each"),
            hand.bytes,
            0,
            Target::None,
        );
        compare(
            &mut report,
            &format!("{what}, told by draining()"),
            &draining,
            &hand,
        );
        compare(&mut report, &format!("{what}, cut"), &cut, &hand);
        compare(
            &mut report,
            &format!("{what}, policy and goodbye"),
            &policy,
            &hand_goodbye,
        );
    }
}
