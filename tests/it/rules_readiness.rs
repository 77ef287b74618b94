//! Rule 5: a rejection does not wait for the inner service, which is never called when it is not ready.

use std::task::{Context, Poll};

use tokio_test::task::{spawn, Spawn};
use tower::Service;
use tower_drain::{Drain, DrainLayer, Phase};

use crate::support::{answer, get, poll_ready, App, Handlers};

type Asking = Spawn<Drain<Handlers>>;

fn ask(service: &mut Asking) -> Poll<Result<(), &'static str>> {
    service.enter(|cx, mut service| service.poll_ready(cx))
}

fn busy() -> App {
    let app = App::new();
    app.handlers.busy();
    app
}

#[test]
fn while_serving_readiness_is_that_of_the_inner_service() {
    let mut app = busy();
    assert!(poll_ready(&mut app.service).is_pending());
    app.handlers.free();
    assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
}

#[test]
fn while_rejecting_a_busy_inner_service_is_answered_for_as_ready() {
    let mut app = busy();
    app.handle.begin_shutdown();
    assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
    assert_eq!(app.answer(get("/")).status(), 503);
    assert_eq!(app.handlers.called(), 0);
}

#[test]
fn a_lame_duck_still_waits_for_a_busy_inner_service() {
    let app = busy();
    let mut service = spawn(app.service);
    app.handle.begin_lame_duck();
    assert!(ask(&mut service).is_pending());
}

#[test]
fn a_task_parked_in_the_inner_service_is_woken_by_the_begin() {
    let app = busy();
    let mut service = spawn(app.service);
    assert!(ask(&mut service).is_pending());
    app.handle.begin_lame_duck();
    assert!(!service.is_woken());
    app.handle.begin_shutdown();
    assert!(service.is_woken());
    assert_eq!(ask(&mut service), Poll::Ready(Ok(())));
}

#[test]
fn a_task_parked_in_the_inner_service_is_woken_by_the_inner_service_too() {
    let app = busy();
    let mut service = spawn(app.service);
    assert!(ask(&mut service).is_pending());
    app.handlers.free();
    assert!(service.is_woken());
    assert_eq!(ask(&mut service), Poll::Ready(Ok(())));
    app.handle.begin_shutdown();
    assert!(!service.is_woken(), "it waits for nothing any longer");
}

#[test]
fn an_inner_service_that_was_not_polled_ready_is_not_called_after_a_resume() {
    let mut app = busy();
    let nonce = app.handle.begin_shutdown_because("a try".into()).unwrap();
    assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
    app.handle.resume(nonce).unwrap();
    let response = answer(&mut spawn(app.service.call(get("/"))));
    assert_eq!(
        (response.status().as_u16(), app.handlers.called()),
        (503, 0)
    );
    assert_eq!(
        (app.handle.in_flight(), app.handle.status().rejected),
        (0, 1)
    );

    assert!(poll_ready(&mut app.service).is_pending());
    app.handlers.free();
    drop(app.open(get("/")));
    assert_eq!(app.handlers.called(), 1);
}

#[test]
fn an_inner_service_that_was_ready_while_rejecting_is_called_after_a_resume() {
    let mut app = App::new();
    let nonce = app.handle.begin_shutdown_because("a try".into()).unwrap();
    assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
    app.handle.resume(nonce).unwrap();
    let future = app.service.call(get("/"));
    assert_eq!((app.handlers.called(), app.handle.in_flight()), (1, 1));
    drop(future);
}

#[test]
fn an_exempt_request_that_finds_the_inner_service_unready_gets_the_503_uncounted() {
    let mut app = App::of(DrainLayer::new().exempt(|head| head.uri().path() == "/livez"));
    app.handlers.busy();
    app.handle.begin_shutdown();
    let response = app.answer(get("/livez"));
    assert_eq!(
        (response.status().as_u16(), app.handlers.called()),
        (503, 0)
    );
    let status = app.handle.status();
    assert_eq!((status.in_flight, status.rejected), (0, 0));
}

#[test]
fn an_exempt_request_calls_a_ready_inner_service_while_rejecting() {
    let mut app = App::of(DrainLayer::new().exempt(|_| true));
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Drained);
    drop(app.open(get("/livez")));
    assert_eq!(app.handlers.called(), 1);
}

#[test]
fn readiness_errors_of_the_inner_service_pass_in_every_phase() {
    let handlers = Handlers::that(|handlers| handlers.fails_ready = true);
    let mut app = App::over(handlers, DrainLayer::new());
    assert_eq!(
        poll_ready(&mut app.service),
        Poll::Ready(Err("not ready, ever"))
    );
    app.handle.begin_shutdown();
    assert_eq!(
        poll_ready(&mut app.service),
        Poll::Ready(Err("not ready, ever"))
    );
}

#[test]
fn a_clone_starts_unready_however_ready_the_original_is() {
    let mut app = App::new();
    assert!(poll_ready(&mut app.service).is_ready());
    let mut clone = app.service.clone();
    let response = answer(&mut spawn(clone.call(get("/"))));
    assert_eq!(
        (response.status().as_u16(), app.handlers.called()),
        (503, 0)
    );

    drop(app.service.call(get("/")));
    assert_eq!(app.handlers.called(), 1);
}

#[test]
fn readiness_counts_for_one_call() {
    let mut app = App::new();
    assert!(poll_ready(&mut app.service).is_ready());
    drop(app.service.call(get("/")));
    let response = answer(&mut spawn(app.service.call(get("/"))));
    assert_eq!(
        (response.status().as_u16(), app.handlers.called()),
        (503, 1)
    );
}

#[test]
fn poll_ready_counts_nothing() {
    let mut app = App::new();
    for _ in 0..3 {
        assert!(poll_ready(&mut app.service).is_ready());
    }
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_rejection_polls_the_inner_service_once_for_readiness() {
    let app = busy();
    let mut service = spawn(app.service);
    app.handle.begin_shutdown();
    assert!(ask(&mut service).is_ready());
    app.handlers.free();
    assert!(
        service.is_woken(),
        "the inner service was asked, and parked this task"
    );
}

#[test]
fn readiness_follows_the_task_that_asked_last() {
    let app = busy();
    let mut service = app.service;
    let (mut first, mut second) = (spawn(()), spawn(()));
    let mut ask = |task: &mut Spawn<()>| {
        task.enter(|cx: &mut Context<'_>, _| service.poll_ready(cx).is_pending())
    };
    assert!(ask(&mut first) && ask(&mut second));
    app.handle.begin_shutdown();
    assert!(second.is_woken());
}
