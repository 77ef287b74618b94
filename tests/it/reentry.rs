//! The handle may be used from everything that the core calls or drops: closures, wakers, handlers and bodies.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use http::Response;
use tokio_test::task::spawn;
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::support::{get, poll_ready, App, Script};

/// Asks the handle for everything, and ends what it can.
fn everything(handle: &DrainHandle) {
    let _ = (handle.in_flight(), handle.status(), handle.stragglers());
    handle.cut();
    let _ = handle
        .try_guard_as("within")
        .map(|guard| (guard.clone(), guard));
    if let Some(nonce) = handle.begin_shutdown_because("within".into()) {
        let _ = handle.resume(nonce);
    }
    let _ = format!("{handle:?}");
}

struct Uses(DrainHandle);

impl Drop for Uses {
    fn drop(&mut self) {
        everything(&self.0);
    }
}

/// Uses the handle when it is woken first, which wakes it again.
struct UsesOnce(Uses, AtomicBool);

impl Wake for UsesOnce {
    fn wake(self: Arc<Self>) {
        if !self.1.swap(true, SeqCst) {
            everything(&self.0 .0);
        }
    }
}

#[test]
fn closures_of_the_layer_may_use_the_handle() {
    let handle = DrainHandle::new();
    let (in_exempt, in_rejection) = (handle.clone(), handle.clone());
    let layer = DrainLayer::from_handle(handle)
        .exempt(move |_| {
            everything(&in_exempt);
            false
        })
        .rejection(move |_| {
            everything(&in_rejection);
            Response::new(Script::new().body())
        });
    let mut app = App::of(layer);
    drop(app.open(get("/")));
    app.handle.begin_shutdown();
    drop(app.answer(get("/")));
    assert_eq!(
        (app.handle.in_flight(), app.handle.phase()),
        (0, Phase::Drained)
    );
}

#[test]
fn a_waker_may_use_the_handle_when_it_wakes_and_when_it_is_dropped() {
    let handle = DrainHandle::new();
    let waker = Waker::from(Arc::new(UsesOnce(
        Uses(handle.clone()),
        AtomicBool::new(false),
    )));
    let mut tracked = Box::pin(handle.track(std::future::pending::<()>()).unwrap());
    let mut changed = Box::pin(handle.changed());
    let mut waiter = Box::pin(handle.wait_for_drain(Duration::MAX));
    let mut cx = Context::from_waker(&waker);
    assert!(tracked.as_mut().poll(&mut cx).is_pending());
    assert!(changed.as_mut().poll(&mut cx).is_pending());
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    drop(waker);
    handle.cut();
    drop((tracked, changed, waiter));
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Serving));
}

#[test]
fn a_handler_may_use_the_handle_when_it_is_dropped() {
    let handle = DrainHandle::new();
    let uses = Uses(handle.clone());
    let waits = async move {
        let _uses = uses;
        std::future::pending::<()>().await;
    };
    let mut tracked = spawn(handle.track(waits).unwrap());
    assert!(tracked.poll().is_pending());
    handle.cut();
    assert!(tracked.poll().is_ready());
    drop(handle.track(async move { drop(tracked) }).unwrap());
    assert_eq!(handle.in_flight(), 0);
}

/// A body that begins the drain when it is polled, from within the count.
struct Begins(DrainHandle);

impl http_body::Body for Begins {
    type Data = bytes::Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, &'static str>>> {
        everything(&self.0);
        self.0.begin_shutdown();
        Poll::Ready(None)
    }
}

#[test]
fn a_body_may_begin_the_drain_that_it_holds() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let inner = handle.clone();
    let mut service = tower::Layer::layer(
        &layer,
        tower::service_fn(move |_: http::Request<()>| {
            let handle = inner.clone();
            async move { Ok::<_, &str>(Response::new(Begins(handle))) }
        }),
    );
    assert!(poll_ready(&mut service).is_ready());
    let response = match spawn(tower::Service::call(&mut service, get("/"))).poll() {
        Poll::Ready(Ok(response)) => response,
        other => panic!("an answer expected, not {other:?}"),
    };
    let mut body = spawn(response.into_body());
    assert!(crate::support::poll_frame(&mut body).is_ready());
    assert_eq!(handle.phase(), Phase::Draining);
    drop(body);
    assert_eq!(handle.phase(), Phase::Drained);
}
