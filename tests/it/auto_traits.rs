//! What the public types are besides their methods: threads, pins, copies, defaults. Compiling is the test of most.

use std::panic::RefUnwindSafe;
use std::time::Duration;

use http::Response;
use tower_drain::*;

use crate::support::{get, App, Handlers, Inner, Script, TestBody};

fn shared<T: Send + Sync + Unpin + 'static>() {}
fn sent<T: Send + 'static>(_: &T) {}

struct NoDefault;
struct NotUnpin(#[allow(dead_code)] std::marker::PhantomPinned);

#[test]
fn every_type_may_go_to_other_threads_and_be_shared() {
    shared::<DrainLayer>();
    shared::<DrainHandle>();
    shared::<Drain<Handlers>>();
    shared::<DrainLayer<fn(&RequestHead<'_>) -> Response<TestBody>>>();
    shared::<DrainGuard>();
    shared::<DrainNonce>();
    shared::<DrainReport>();
    shared::<DrainError>();
    shared::<DrainStatus>();
    shared::<DrainReason>();
    shared::<Straggler>();
    shared::<Phase>();
    shared::<ShuttingDown>();
    shared::<ResumeError>();
    shared::<CutError>();
    #[cfg(feature = "stream")]
    shared::<BreakError>();
}

#[cfg(feature = "testing")]
#[test]
fn what_a_shutdown_is_tested_with_may_go_to_other_threads_too() {
    shared::<testing::DrainTest<Handlers>>();
    shared::<testing::OpenRequest>();
    shared::<testing::Running>();
    shared::<testing::End>();
}

#[test]
fn futures_are_send_sync_static_and_unpin_where_what_they_hold_is() {
    shared::<WaitForDrain>();
    shared::<Leaving>();
    shared::<Draining>();
    shared::<Changed>();
    shared::<GuardCut>();
    shared::<Tracked<std::future::Ready<()>>>();
    shared::<ResponseFuture<Inner, TestBody>>();
    shared::<ResponseBody<TestBody>>();

    let handle = DrainHandle::new();
    sent(
        &handle
            .track(async { NotUnpin(std::marker::PhantomPinned) })
            .unwrap(),
    );
    sent(&async move { handle.wait_for_drain(Duration::MAX).await });
}

#[test]
fn a_body_of_a_type_without_default_has_an_empty_default() {
    let empty = ResponseBody::<NoDefault>::default();
    assert!(format!("{empty:?}").contains("in_flight: false"));
    drop(ResponseBody::<NotUnpin>::default());
}

#[test]
fn the_handle_may_be_used_after_a_panic_was_caught() {
    fn unwinds<T: RefUnwindSafe>() {}
    unwinds::<Phase>();
    unwinds::<DrainNonce>();
}

#[test]
fn phase_and_nonce_are_copies_that_compare() {
    fn copied<T: Copy + Eq + std::hash::Hash>() {}
    fn ordered<T: Ord>() {}
    copied::<Phase>();
    copied::<DrainNonce>();
    ordered::<Phase>();
    assert_eq!(DrainNonce::from_u64(7).as_u64(), 7);
}

#[test]
fn layers_and_handles_have_defaults_and_are_cheap_to_clone() {
    let layer = DrainLayer::default();
    layer.clone().handle().begin_shutdown();
    assert!(layer.handle().is_draining());
    assert_eq!(DrainHandle::default().phase(), Phase::Serving);
}

#[test]
fn closures_infer_their_arguments() {
    let allowed = String::from("/livez");
    let layer = DrainLayer::new()
        .exempt(move |head| head.uri().path() == allowed)
        .rejection(|head| {
            assert_eq!(head.uri().path(), "/");
            Response::new(Script::new().body())
        })
        .retry_after(Duration::from_secs(5));
    let mut app = App::of(layer);
    app.handle.begin_shutdown();
    assert_eq!(app.answer(get("/")).status(), 200);
    assert_eq!(app.handlers.called(), 0);
}

#[test]
fn errors_are_errors_in_lower_case_that_name_the_way_out() {
    fn says(error: impl std::error::Error + Send + Sync + 'static) -> String {
        let said = error.to_string();
        assert!(said.starts_with(|first: char| !first.is_uppercase()) && !said.ends_with('.'));
        said
    }
    let handle = DrainHandle::new();
    let nonce = handle.begin_shutdown_because("a try".into()).unwrap();
    assert!(says(handle.try_guard().unwrap_err()).contains("shutting down"));
    assert!(says(handle.resume(DrainNonce::from_u64(0)).unwrap_err()).contains("stale"));
    handle.seal();
    assert!(says(handle.resume(nonce).unwrap_err()).contains("sealed"));
    assert!(says(DrainError::Resumed).contains("resume"));
}
