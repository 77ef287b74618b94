//! A service whose handlers and bodies are counted, a client, and what runs a story under many schedules.

use std::convert::Infallible;
use std::future::{pending, Future};
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use shuttle::future::yield_now;
use shuttle::rand::{thread_rng, Rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::Runner;
use tower_service::Service;

use crate::tracker::{Called, Door};
use crate::{DrainGuard, DrainHandle, Tracked};

/// Half of the schedules at random, and half with few switches at random places, which finds what needs a long way
/// from one thread and a moment of another.
pub(super) fn story(body: impl Fn() + Send + Sync + Clone + 'static) {
    let schedules = match std::env::var("TOWER_DRAIN_SCHEDULES") {
        Ok(schedules) => schedules.parse().expect("a number of schedules"),
        Err(_) => 25_000,
    };
    let random = RandomScheduler::new(schedules / 2);
    Runner::new(random, shuttle::Config::default()).run(body.clone());
    let few_switches = PctScheduler::new(3, schedules - schedules / 2);
    Runner::new(few_switches, shuttle::Config::default()).run(body);
}

pub(super) fn random(below: usize) -> usize {
    thread_rng().gen_range(0..below)
}

/// Somewhere among the shards. All of a schedule runs on one thread of the system, which has but one shard.
pub(super) fn any_door(handle: &DrainHandle) -> &Door {
    let doors = handle.tracker().doors();
    &doors[random(doors.len())]
}

pub(super) fn guard(handle: &DrainHandle) -> Option<DrainGuard> {
    let held = any_door(handle).admit_guard(Called::Nothing)?;
    Some(DrainGuard::new(held))
}

pub(super) fn track<F: Future>(handle: &DrainHandle, future: F) -> Option<Tracked<F>> {
    let admitted = any_door(handle).admit()?;
    Some(Tracked::new(future, admitted))
}

/// How many handlers and bodies exist.
#[derive(Clone)]
pub(super) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    pub(super) fn one(&self) -> One {
        self.0.fetch_add(1, SeqCst);
        One(self.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub(super) struct One(Alive);

impl Drop for One {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, SeqCst);
    }
}

/// Answers after a turn or never, and leaves its answer's body alive.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) alive: Alive,
    pub(super) answers: bool,
}

pub(super) struct AliveBody {
    body: Full<Bytes>,
    _alive: One,
}

impl http_body::Body for AliveBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<AliveBody>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let (alive, answers, fails) = (self.alive.one(), self.answers, random(5) == 0);
        let body = AliveBody {
            body: Full::from("answer"),
            _alive: self.alive.one(),
        };
        Box::pin(async move {
            let _alive = alive;
            yield_now().await;
            match (answers, fails) {
                (true, false) => Ok(Response::new(body)),
                (true, true) => Err("fails"),
                (false, _) => pending().await,
            }
        })
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Answered,
    Rejected,
    Cut,
    Failed,
    Left,
}

type Answer = Response<crate::ResponseBody<AliveBody>>;

/// One request to its end, or to the end of the client's patience.
pub(super) async fn request<S>(service: S, patience: usize) -> Seen
where
    S: Service<Request<()>, Response = Answer>,
    S::Error: std::fmt::Debug,
{
    seen(call(service).await, patience).await
}

/// Brings one request to where it is admitted or rejected, and no further.
pub(super) async fn call<S>(mut service: S) -> S::Future
where
    S: Service<Request<()>, Response = Answer>,
    S::Error: std::fmt::Debug,
{
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
    ready.unwrap();
    service.call(Request::new(()))
}

pub(super) async fn seen<E>(
    answer: impl Future<Output = Result<Answer, E>>,
    patience: usize,
) -> Seen {
    let mut answer = pin!(answer);
    for _ in 0..patience {
        if let Poll::Ready(answer) = futures_util::poll!(&mut answer) {
            let Ok(answer) = answer else {
                return Seen::Failed;
            };
            let status = answer.status();
            let body = answer.into_body().collect().await;
            return match (status.as_u16(), body) {
                (503, Ok(_)) => Seen::Rejected,
                (500, Ok(_)) | (200, Err(_)) => Seen::Cut,
                (200, Ok(body)) => {
                    assert_eq!(body.to_bytes(), "answer");
                    Seen::Answered
                }
                other => panic!("{other:?}"),
            };
        }
        yield_now().await;
    }
    Seen::Left
}
