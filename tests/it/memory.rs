//! Everything is given back: what closures, services and tasks own goes when the layer's parts go.

use std::future::Future;
use std::sync::{Arc, Weak};

use http::Response;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::{service_fn, Layer, Service};
use tower_drain::{Drain, DrainHandle, DrainLayer};

use crate::support::{get, poll_ready, App, Script};

struct Canary;

fn canary() -> (Arc<Canary>, Weak<Canary>) {
    let canary = Arc::new(Canary);
    let weak = Arc::downgrade(&canary);
    (canary, weak)
}

/// A layer whose closures own a canary and a clone of the handle.
fn layer(owned: &Arc<Canary>) -> DrainLayer {
    let handle = DrainHandle::new();
    let (owned, captured) = (owned.clone(), handle.clone());
    DrainLayer::from_handle(handle).exempt(move |_| {
        let _ = &owned;
        captured.is_draining()
    })
}

#[test]
fn a_closure_that_captures_the_handle_is_freed_with_layer_services_and_handles() {
    let (owned, weak) = canary();
    let layer = layer(&owned);
    drop(owned);
    let mut app = App::of(layer.clone());
    let clone = app.service.clone();
    drop(app.open(get("/")));
    drop(layer);
    drop(app);
    assert!(weak.upgrade().is_some(), "a clone is left");
    drop(clone);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_layer_that_was_never_used_frees_its_closures() {
    let (owned, weak) = canary();
    let layer = layer(&owned);
    drop(owned);
    let handle = layer.handle();
    drop(layer);
    assert!(weak.upgrade().is_none(), "a handle keeps no closure");
    drop(handle);
}

#[test]
fn configuring_on_frees_what_the_layer_was_before() {
    let (owned, weak) = canary();
    let layer = layer(&owned).share_guard().rejection({
        let owned = owned.clone();
        move |_| {
            let _ = &owned;
            Response::new(Script::new().body())
        }
    });
    drop(owned);
    let app = App::of(layer);
    assert_eq!(weak.strong_count(), 2);
    drop(app);
    assert!(weak.upgrade().is_none());
}

#[test]
fn neither_a_guard_nor_an_open_request_keeps_closures_or_the_inner_service() {
    let (owned, weak) = canary();
    let layer = layer(&owned);
    let handle = layer.handle();
    let inner = service_fn(move |_: http::Request<()>| {
        let _ = &owned;
        async { Ok::<_, &str>(Response::new(Script::new().body())) }
    });
    let mut service: Drain<_> = layer.layer(inner);
    let guard = handle.try_guard().unwrap();
    assert!(poll_ready(&mut service).is_ready());
    let future = service.call(get("/"));
    drop((service, layer));
    assert!(weak.upgrade().is_none());
    assert_eq!(handle.in_flight(), 2);
    drop((guard, future));
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_request_that_ends_frees_handler_and_waker() {
    let handle = DrainHandle::new();
    let (owned, weak) = canary();
    let mut task = spawn(());
    let before = task.waker_ref_count();
    let mut tracked = Box::pin(
        handle
            .track(async move {
                let _owned = owned;
                std::future::pending::<()>().await;
            })
            .unwrap(),
    );
    task.enter(|cx, _| assert_pending!(tracked.as_mut().poll(cx)));
    assert!(task.waker_ref_count() > before);
    drop(tracked);
    assert_eq!(task.waker_ref_count(), before);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_cut_frees_the_handler_and_the_body_though_the_answer_is_still_held() {
    let handle = DrainHandle::new();
    let (owned, weak) = canary();
    let mut service =
        DrainLayer::from_handle(handle.clone()).layer(service_fn(move |_: http::Request<()>| {
            let owned = owned.clone();
            async move {
                let _owned = owned;
                std::future::pending::<Result<Response<crate::support::TestBody>, &str>>().await
            }
        }));
    assert!(poll_ready(&mut service).is_ready());
    let mut opened = spawn(service.call(get("/")));
    assert!(opened.poll().is_pending());
    drop(service);
    handle.cut();
    let response = opened.poll();
    assert!(weak.upgrade().is_none());
    assert_eq!(handle.in_flight(), 1);
    drop(response);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_service_that_was_parked_gives_its_waker_back() {
    let app = App::new();
    app.handlers.busy();
    let mut service = app.service;
    let mut task = spawn(());
    let before = task.waker_ref_count();
    task.enter(|cx, _| assert!(service.poll_ready(cx).is_pending()));
    drop(service);
    app.handlers.free();
    drop(app.handlers);
    assert_eq!(task.waker_ref_count(), before);
}
