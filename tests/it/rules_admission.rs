//! Rules 1 and 2: what is counted, from when, until when.

use std::sync::mpsc::Receiver;
use std::task::Poll;

use http::Response;
use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower::Service;
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::support::{answer, data, drop_probe, get, panics, poll_frame, poll_ready};
use crate::support::{App, DropProbe, Opened, Script};

fn probed(app: &mut App) -> (Opened, crate::support::Call, Receiver<usize>) {
    let (probe, seen) = drop_probe(&app.handle);
    app.handlers.probe_next(probe);
    let (opened, call) = app.open(get("/"));
    (opened, call, seen)
}

pub(crate) fn body_probe(
    handle: &DrainHandle,
    script: &Script,
) -> (Response<crate::support::TestBody>, Receiver<usize>) {
    let (probe, seen): (DropProbe, _) = drop_probe(handle);
    (Response::new(script.body().probed(probe)), seen)
}

#[test]
fn a_request_is_counted_in_call_before_the_first_poll() {
    let mut app = App::new();
    assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
    assert_eq!(app.handle.in_flight(), 0);
    let future = app.service.call(get("/"));
    assert_eq!(app.handle.in_flight(), 1);
    drop(future);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_request_is_counted_before_the_inner_service_is_called() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let mut service = tower::Layer::layer(
        &layer,
        tower::service_fn(move |_: http::Request<()>| {
            let seen = handle.in_flight();
            async move { Ok::<_, &str>(Response::new(seen.to_string())) }
        }),
    );
    assert!(poll_ready(&mut service).is_ready());
    let response = assert_ready!(spawn(service.call(get("/"))).poll()).unwrap();
    assert_eq!(data(&mut spawn(response.into_body())), "1");
}

#[test]
fn a_request_stays_in_flight_until_its_body_is_dropped_not_until_it_ends() {
    let mut app = App::new();
    let script = Script::new();
    script.data("whole").close().says_end();
    let mut body = app.stream(&script);
    assert_eq!(app.handle.in_flight(), 1);
    assert_eq!(data(&mut body), "whole");
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
    assert_eq!(app.handle.in_flight(), 1);
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_body_that_is_never_polled_releases_its_request_when_it_is_dropped() {
    let mut app = App::new();
    let body = app.stream(&Script::new());
    assert_eq!(app.handle.in_flight(), 1);
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_future_that_is_dropped_half_way_releases_its_request() {
    let mut app = App::new();
    let (opened, call) = app.open(get("/"));
    assert_eq!(app.handle.in_flight(), 1);
    drop(opened);
    assert_eq!(app.handle.in_flight(), 0);
    drop(call);
}

#[test]
fn a_finished_future_that_is_kept_holds_nothing() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    call.answer(&Script::new());
    drop(answer(&mut opened));
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn an_error_of_the_inner_service_passes_and_releases_the_request() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    call.fail();
    assert_eq!(
        assert_ready!(opened.poll()).unwrap_err(),
        "the handler failed"
    );
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_body_error_passes_and_leaves_the_count_to_the_drop() {
    let mut app = App::new();
    let script = Script::new();
    script.error("the disk is gone");
    let mut body = app.stream(&script);
    let error = assert_ready!(poll_frame(&mut body)).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_panic_in_the_handler_releases_the_request() {
    let mut app = App::new();
    let (mut opened, call, seen) = probed(&mut app);
    call.panic();
    assert!(panics(|| opened.poll()));
    drop(opened);
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
}

#[test]
fn a_panic_in_the_size_hint_drops_handler_and_body_before_they_are_released() {
    let mut app = App::new();
    let mut opened = app.send(get("/"));
    let call = app.handlers.next();
    let script = Script::new();
    let (response, seen) = body_probe(&app.handle, &script);
    script.panics_when_asked_for_its_size();
    call.respond(response);
    assert!(panics(|| opened.poll()));
    drop(opened);
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
}

#[test]
fn the_handler_is_dropped_before_its_guard() {
    let mut app = App::new();
    let (opened, call, seen) = probed(&mut app);
    drop(opened);
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
    drop(call);

    let (mut opened, call, seen) = probed(&mut app);
    call.fail();
    assert!(assert_ready!(opened.poll()).is_err());
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
}

#[test]
fn an_answered_handler_is_dropped_before_its_answer_is_handed_out() {
    let mut app = App::new();
    let (mut opened, call, seen) = probed(&mut app);
    call.answer(&Script::new());
    let response = answer(&mut opened);
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 1));
    drop(response);
}

#[test]
fn the_body_is_dropped_before_its_guard() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    let (response, seen) = body_probe(&app.handle, &Script::new());
    call.respond(response);
    drop(answer(&mut opened));
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
}

#[test]
fn a_cut_handler_and_a_cut_body_are_dropped_before_their_guard() {
    let mut app = App::new();
    let (mut opened, call, seen) = probed(&mut app);
    app.handle.cut();
    drop(answer(&mut opened));
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
    drop(call);

    let (mut opened, call) = app.open(get("/"));
    let (response, seen) = body_probe(&app.handle, &Script::new());
    call.respond(response);
    let mut body = spawn(answer(&mut opened).into_body());
    app.handle.cut();
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 1));
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_tracked_future_is_dropped_before_its_guard() {
    let handle = DrainHandle::new();
    let (probe, seen) = drop_probe(&handle);
    drop(handle.track(async move { drop(probe) }).unwrap());
    assert_eq!((seen.try_recv(), handle.in_flight()), (Ok(1), 0));

    let (probe, seen) = drop_probe(&handle);
    let waits = async move {
        let _probe = probe;
        std::future::pending::<()>().await;
    };
    let mut tracked = spawn(handle.track(waits).unwrap());
    assert!(tracked.poll().is_pending());
    handle.cut();
    assert_eq!(assert_ready!(tracked.poll()), None);
    assert_eq!((seen.try_recv(), handle.in_flight()), (Ok(1), 0));
}

#[test]
fn a_request_is_counted_once_however_often_it_is_polled() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    assert!(opened.poll().is_pending());
    assert!(opened.poll().is_pending());
    assert_eq!(app.handle.in_flight(), 1);
    drop((opened, call));
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn two_layers_of_one_handle_count_together() {
    let first = DrainLayer::new();
    let mut left = App::of(first.clone());
    let mut right = App::of(DrainLayer::from_handle(first.handle()));
    let (one, _call) = left.open(get("/"));
    let (two, _other) = right.open(get("/"));
    assert_eq!(first.handle().in_flight(), 2);
    assert!(right.handle.begin_shutdown());
    drop(one);
    assert_eq!(left.handle.phase(), Phase::Draining);
    drop(two);
    assert_eq!(left.handle.phase(), Phase::Drained);
}

#[test]
fn once_a_waiter_has_seen_ok_nothing_admitted_runs_and_nothing_is_admitted() {
    let mut app = App::new();
    let (opened, _call, seen) = probed(&mut app);
    let mut waiter = spawn(app.handle.wait_for_drain(std::time::Duration::MAX));
    app.handle.begin_shutdown();
    assert!(waiter.poll().is_pending());
    drop(opened);
    assert!(waiter.is_woken());
    assert!(assert_ready!(waiter.poll()).is_ok());
    assert_eq!(seen.try_recv(), Ok(1));
    assert_eq!(app.answer(get("/")).status(), 503);
    assert!(app.handle.try_guard().is_err());
    assert_eq!((app.handlers.called(), app.handle.in_flight()), (1, 0));
}

#[test]
fn a_shared_guard_counts_beside_its_request_and_outlives_it() {
    let mut app = App::of(DrainLayer::new().share_guard());
    let (mut opened, mut call) = app.open(get("/upgrade"));
    assert_eq!(app.handle.in_flight(), 2);
    let guard = call
        .request
        .extensions_mut()
        .remove::<tower_drain::DrainGuard>();
    call.answer(&Script::new());
    drop(answer(&mut opened));
    assert_eq!(app.handle.in_flight(), 1);
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Draining);
    drop(guard);
    assert_eq!(app.handle.phase(), Phase::Drained);
}

#[test]
fn without_share_guard_the_extensions_have_no_guard() {
    let mut app = App::new();
    let (_opened, call) = app.open(get("/"));
    assert!(call
        .request
        .extensions()
        .get::<tower_drain::DrainGuard>()
        .is_none());
}
