//! Open response bodies: bytes each, and the time from the begin of a drain to the last one told, beside what is wired
//! by hand from a `CancellationToken` and a `TaskTracker`.
//!
//! `cargo bench --bench streams`. All bodies are polled to pending, each with a waker of its own; then the drain
//! begins, and whoever is woken is polled until it ends. Best of some rounds in which the candidates take turns.

mod common;

use std::alloc::System;
use std::convert::Infallible;
use std::env;
use std::future::{ready, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use stats_alloc::{Region, StatsAlloc, INSTRUMENTED_SYSTEM};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{service_fn, Layer, Service};
use tower_drain::DrainLayer;

use common::peers::Counted;
use common::report::{Report, Target};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A body without data that ends when its future does.
struct Until<F>(Pin<Box<F>>);

impl<F: Future> Body for Until<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll(cx).map(|_| None)
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
            if let Some(body) = &mut bodies[index] {
                if body.as_mut().poll_frame(&mut cx).is_ready() {
                    bodies[index] = None;
                    open -= 1;
                }
            }
        }
    }
    let time = start.elapsed();
    Measured { bytes, time }
}

fn by_hand(count: usize) -> Measured {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let stop = token.clone();
    let inner = service_fn(move |_: Request<()>| {
        let body = Until(Box::pin(stop.clone().cancelled_owned()));
        ready(Ok(Response::new(body)))
    });
    let counter = tracker.clone();
    let measured = measure(Counted { counter, inner }, count, || token.cancel());
    assert!(tracker.is_empty());
    measured
}

fn draining(count: usize) -> Measured {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let of_streams = handle.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let body = Until(Box::pin(of_streams.draining()));
        ready(Ok(Response::new(body)))
    }));
    let measured = measure(service, count, || assert!(handle.begin_shutdown()));
    assert_eq!(handle.in_flight(), 0);
    measured
}

fn cut(count: usize) -> Measured {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let service = layer.layer(service_fn(|_: Request<()>| {
        let body = Until(Box::pin(std::future::pending::<()>()));
        ready(Ok(Response::new(body)))
    }));
    let measured = measure(service, count, || assert_eq!(handle.cut(), count));
    assert_eq!(handle.in_flight(), 0);
    measured
}

fn best(count: usize, rounds: usize) -> [Measured; 3] {
    let mut all = [by_hand(count), draining(count), cut(count)];
    for _ in 1..rounds {
        for (best, now) in all.iter_mut().zip([by_hand, draining, cut]) {
            best.time = best.time.min(now(count).time);
        }
    }
    all
}

fn main() {
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut report = Report::new("streams");
    for (count, rounds) in [(10_000, 15), (100_000, 5)] {
        let [hand, draining, cut] = best(count, rounds);
        report.row(
            &format!("{count} streams, by hand: bytes each"),
            hand.bytes,
            0,
            Target::None,
        );
        for (name, measured) in [("told by draining()", &draining), ("cut", &cut)] {
            report.row(
                &format!("{count} streams, {name}: bytes more each"),
                measured.bytes - hand.bytes,
                0,
                Target::AtMost(100.0, 200.0),
            );
            report.row(
                &format!("{count} streams, {name}: time, of by hand's"),
                measured.time.as_secs_f64() / hand.time.as_secs_f64(),
                2,
                Target::AtMost(1.0, 1.5),
            );
        }
    }
}
