//! The layer, guards and waiters under random schedules of more threads and longer stories than loom can go through in
//! full. What depends on the order of memory is loom's: here every thread sees every write.
//!
//! `TOWER_DRAIN_SCHEDULES` says how many a story (25 000). A failure prints its schedule for `shuttle::replay`.

use std::convert::Infallible;
use std::future::{pending, Future};
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use shuttle::future::{block_on, yield_now};
use shuttle::rand::{thread_rng, Rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::{thread, Runner};
use tower_layer::Layer;
use tower_service::Service;

use super::{Called, Waiter};
use crate::{
    DrainError, DrainGuard, DrainHandle, DrainLayer, DrainReason, Phase, Tracked, WaitForDrain,
};

/// Half of the schedules at random, and half with few switches at random places, which finds what needs a long way
/// from one thread and a moment of another.
fn story(body: impl Fn() + Send + Sync + Clone + 'static) {
    let schedules = match std::env::var("TOWER_DRAIN_SCHEDULES") {
        Ok(schedules) => schedules.parse().expect("a number of schedules"),
        Err(_) => 25_000,
    };
    let random = RandomScheduler::new(schedules / 2);
    Runner::new(random, shuttle::Config::default()).run(body.clone());
    let few_switches = PctScheduler::new(3, schedules - schedules / 2);
    Runner::new(few_switches, shuttle::Config::default()).run(body);
}

fn random(below: usize) -> usize {
    thread_rng().gen_range(0..below)
}

/// Somewhere among the shards. All of a schedule runs on one thread of the system, which has but one shard.
fn any_shard(handle: &DrainHandle) -> Arc<super::Shard> {
    let shards = handle.tracker().shards();
    shards[random(shards.len())].clone()
}

fn guard(handle: &DrainHandle) -> Option<DrainGuard> {
    let held = any_shard(handle).admit_guard(Called::Nothing)?;
    Some(DrainGuard::new(held))
}

fn track<F: Future>(handle: &DrainHandle, future: F) -> Option<Tracked<F>> {
    let admitted = any_shard(handle).admit()?;
    Some(Tracked::new(future, admitted))
}

/// How many handlers and bodies exist.
#[derive(Clone)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn one(&self) -> One {
        self.0.fetch_add(1, SeqCst);
        One(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

struct One(Alive);

impl Drop for One {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, SeqCst);
    }
}

/// Answers after a turn or never, and leaves its answer's body alive.
#[derive(Clone)]
struct Inner {
    alive: Alive,
    answers: bool,
}

struct AliveBody {
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
enum Seen {
    Answered,
    Rejected,
    Cut,
    Failed,
    Left,
}

/// One request to its end, or to the end of the client's patience.
async fn request<S>(mut service: S, patience: usize) -> Seen
where
    S: Service<Request<()>, Response = Response<crate::ResponseBody<AliveBody>>>,
    S::Error: std::fmt::Debug,
{
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
    ready.unwrap();
    let mut answer = pin!(service.call(Request::new(())));
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

#[test]
fn whoever_sees_the_drain_ended_finds_nobody_at_work_under_any_schedule() {
    story(|| {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let alive = Alive::new();
        let inner = Inner {
            alive: alive.clone(),
            answers: true,
        };
        let service = layer.layer(inner);
        let mut threads = Vec::new();
        for _ in 0..2 {
            let service = service.clone();
            threads.push(thread::spawn(move || {
                for _ in 0..2 {
                    block_on(request(service.clone(), 1 + random(4)));
                }
            }));
        }
        let holds = (handle.clone(), alive.clone());
        threads.push(thread::spawn(move || {
            let (handle, alive) = holds;
            if let Some(first) = guard(&handle) {
                // Dropped in this order, before their guards.
                let second = (alive.one(), first.clone());
                drop((alive.one(), first));
                thread::yield_now();
                assert_ne!(handle.phase(), Phase::Drained);
                drop(second);
            }
        }));
        let cuts = handle.clone();
        threads.push(thread::spawn(move || {
            cuts.cut();
        }));
        for _ in 0..2 {
            let nonce = handle.begin_shutdown_because(DrainReason::Requested);
            block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
            assert_eq!((alive.count(), handle.in_flight()), (0, 0));
            assert!(guard(&handle).is_none());
            handle.resume(nonce.unwrap()).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((alive.count(), handle.in_flight()), (0, 0));
        assert!(handle.stragglers().is_empty());
    });
}

#[test]
fn every_request_is_answered_rejected_or_cut_and_counted_as_what_it_was_under_any_schedule() {
    story(|| {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let inner = Inner {
            alive: Alive::new(),
            answers: false,
        };
        let service = layer.layer(inner);
        let requests: Vec<_> = (0..3)
            .map(|_| {
                let service = service.clone();
                thread::spawn(move || block_on(request(service, usize::MAX)))
            })
            .collect();
        let ended = {
            let handle = handle.clone();
            thread::spawn(move || handle.cut() + handle.cut())
        };
        handle.begin_shutdown();
        let mut cut = ended.join().unwrap();
        // From here on nobody is admitted, so that this one comes to the rest.
        cut += handle.cut();
        let report = block_on(handle.wait_for_drain(Duration::MAX)).unwrap();
        let seen: Vec<_> = requests
            .into_iter()
            .map(|request| request.join().unwrap())
            .collect();
        let count = |what| seen.iter().filter(|seen| **seen == what).count();
        assert_eq!(count(Seen::Cut), cut, "{seen:?}");
        assert_eq!(count(Seen::Rejected), 3 - cut, "{seen:?}");
        assert!(report.cut <= cut);
        assert_eq!(handle.status().rejected, count(Seen::Rejected) as u64);
        assert_eq!(handle.in_flight(), 0);
    });
}

#[test]
fn nobody_who_waits_is_forgotten_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let held = guard(&handle).unwrap();
        let tracked = track(&handle, pending::<()>()).unwrap();
        let (leaving, draining) = (handle.leaving(), handle.draining());
        let changed = handle.changed();
        let drain = handle.wait_for_drain(Duration::MAX);
        let threads = [
            thread::spawn(move || block_on(leaving)),
            thread::spawn(move || block_on(draining)),
            thread::spawn(move || assert_ne!(block_on(changed), Phase::Serving)),
            thread::spawn(move || assert!(block_on(drain).is_ok())),
            thread::spawn(move || {
                block_on(held.cut());
                drop(held);
            }),
            thread::spawn(move || assert_eq!(block_on(tracked), None)),
        ];
        if random(2) == 0 {
            handle.begin_lame_duck();
        }
        handle.begin_shutdown();
        assert_eq!(handle.cut(), 1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(handle.phase(), Phase::Drained);
    });
}

/// Polls until it is ready, and now and then gives the future up for a new one.
async fn waits_anew(handle: &DrainHandle) -> Result<(), DrainError> {
    let mut waiting: Pin<Box<WaitForDrain>> = Box::pin(handle.wait_for_drain(Duration::MAX));
    loop {
        if let Poll::Ready(waited) = futures_util::poll!(&mut waiting) {
            return waited.map(drop);
        }
        if random(4) > 0 {
            return waiting.await.map(drop);
        }
        waiting = Box::pin(handle.wait_for_drain(Duration::MAX));
    }
}

#[test]
fn begins_resumes_and_cuts_beside_one_another_leave_phase_and_shards_agreed_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let mut threads = Vec::new();
        for _ in 0..2 {
            let handle = handle.clone();
            threads.push(thread::spawn(move || {
                for _ in 0..3 {
                    match random(4) {
                        0 => {
                            handle.begin_lame_duck();
                        }
                        1 => {
                            handle.begin_shutdown();
                        }
                        2 => {
                            handle.cut();
                        }
                        _ => {
                            if let Some(nonce) = handle.nonce() {
                                let _ = handle.resume(nonce);
                            }
                        }
                    }
                }
            }));
        }
        let waits = handle.clone();
        let waiter = thread::spawn(move || block_on(waits_anew(&waits)));
        let works = handle.clone();
        threads.push(thread::spawn(move || {
            for _ in 0..2 {
                let held = guard(&works);
                if let Some(tracked) = track(&works, yield_now()) {
                    block_on(tracked);
                }
                drop(held);
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        let is_open = handle.phase() < Phase::Draining;
        for shard in handle.tracker().shards() {
            assert_eq!(shard.admit().is_some(), is_open);
        }
        assert_eq!(handle.in_flight(), 0);
        handle.begin_shutdown();
        assert_eq!(handle.phase(), Phase::Drained);
        match waiter.join().unwrap() {
            Ok(()) | Err(DrainError::Resumed) => {}
            Err(error) => panic!("{error}"),
        }
    });
}

/// What a service does whose inner service is not ready.
struct Readiness(Waiter);

impl Future for Readiness {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.park(cx, super::Wakes::BEGIN);
        match self.0.shard().is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

#[test]
fn a_begin_wakes_everybody_who_waits_for_readiness_under_any_schedule() {
    story(|| {
        let handle = DrainHandle::new();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let waiter = Waiter::new(any_shard(&handle));
                thread::spawn(move || block_on(Readiness(waiter)))
            })
            .collect();
        handle.begin_shutdown();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
