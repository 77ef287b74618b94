//! What the layer adds to each chunk of an open stream: instructions and allocations.
//!
//! `cargo bench --features stream --bench chunks`; needs valgrind. A turn is a chunk of one event.

mod common;

use std::alloc::System;
use std::convert::Infallible;
use std::future::{ready, Future};
use std::hint::black_box;
use std::pin::{pin, Pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::header::{HeaderValue, CONTENT_TYPE};
use http::{Request, Response};
use http_body::{Body, Frame};
use stats_alloc::{Region, StatsAlloc, INSTRUMENTED_SYSTEM};
use tower::{service_fn, Layer, Service};
use tower_drain::{DrainLayer, Goodbye, StreamHead, StreamPolicy};

use common::callgrind::Callgrind;
use common::candidates::Candidate;
use common::report::{Report, Target};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BARE: &str = "bare";
const WAITS: &str = "drain waits for it";
const ENDS: &str = "policy and goodbye";

/// So many events, each in a chunk.
struct Events(u64);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 = match self.0.checked_sub(1) {
            Some(left) => left,
            None => return Poll::Ready(None),
        };
        let event = Bytes::from_static(b"id: 1\ndata: one\n\n");
        Poll::Ready(Some(Ok(Frame::data(black_box(event)))))
    }
}

fn events(count: u64) -> Response<Events> {
    let mut response = Response::new(Events(count));
    let event_stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, event_stream);
    response
}

fn read<B: Body>(body: B) {
    let mut body = pin!(body);
    let mut context = Context::from_waker(noop_waker_ref());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        drop(black_box(frame));
    }
}

fn through<R>(name: &'static str, layer: DrainLayer<R>) -> Candidate
where
    R: tower_drain::Rejection<Events> + Send + Sync + 'static,
{
    Candidate::new(name, move |chunks| {
        let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(events(chunks))));
        let mut service = layer.layer(inner);
        let mut context = Context::from_waker(noop_waker_ref());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut answer = pin!(service.call(Request::new(())));
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(Ok(response)) => read(response.into_body()),
            _ => panic!("the service answers at once"),
        }
    })
}

fn all() -> Vec<Candidate> {
    let ends = DrainLayer::new()
        .stream_policy(|_: &StreamHead<'_>| StreamPolicy::End)
        .goodbye(Goodbye::event("goodbye"));
    vec![
        Candidate::new(BARE, |chunks| read(events(chunks).into_body())),
        through(WAITS, DrainLayer::new()),
        through(ENDS, ends),
    ]
}

/// Without what a stream allocates once.
fn allocations_per_chunk(candidate: &Candidate) -> f64 {
    const CHUNKS: u64 = 10_000;
    let allocations = |chunks| {
        let region = Region::new(ALLOCATOR);
        candidate.run(chunks);
        region.change().allocations
    };
    // The first stream also allocates what a thread does once.
    candidate.run(1);
    let once = allocations(0);
    (allocations(CHUNKS) - once) as f64 / CHUNKS as f64
}

fn main() {
    let Some(callgrind) = Callgrind::of(all()) else {
        return;
    };
    let mut report = Report::new("chunks");
    let bare = callgrind.per_turn(BARE);
    report.row("instructions per chunk, bare", bare, 0, Target::None);
    for candidate in all().iter().filter(|it| it.name != BARE) {
        let added = callgrind.per_turn(candidate.name) - bare;
        let what = format!("instructions added per chunk, {}", candidate.name);
        report.row(&what, added, 0, Target::None);
        let what = format!("allocations per chunk, {}", candidate.name);
        let allocations = allocations_per_chunk(candidate);
        report.row(&what, allocations, 3, Target::AtMost(0.0, 0.0));
    }
}
