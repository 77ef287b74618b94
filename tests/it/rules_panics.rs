//! Rules 1 and 2: whatever panics is released, and what was counted is dropped before.

use http::Response;
use http_body::SizeHint;
use tower::Service;
use tower_drain::DrainLayer;

use crate::rules_admission::body_probe;
use crate::support::{answer, get, panics, poll_frame, poll_ready};
use crate::support::{App, Handlers, Script};

#[test]
fn a_panic_in_call_releases_the_request() {
    let handlers = Handlers::that(|handlers| handlers.panics_in_call = true);
    let mut app = App::over(handlers, DrainLayer::new().share_guard());
    assert!(poll_ready(&mut app.service).is_ready());
    assert!(panics(|| app.service.call(get("/"))));
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_panic_in_poll_frame_releases_the_request() {
    let mut app = App::new();
    let script = Script::new();
    script.panics_when_polled();
    let mut body = app.stream(&script);
    assert!(panics(|| poll_frame(&mut body)));
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_panic_in_the_drop_of_the_handler_releases_the_request() {
    for is_answered in [false, true] {
        let handlers = Handlers::that(|handlers| handlers.panics_in_drop = true);
        let mut app = App::over(handlers, DrainLayer::new());
        let (mut opened, call) = app.open(get("/"));
        match is_answered {
            true => {
                call.answer(&Script::new());
                assert!(panics(|| opened.poll()));
            }
            false => assert!(panics(|| drop(opened))),
        }
        assert_eq!(app.handle.in_flight(), 0, "answered: {is_answered}");
    }
}

#[test]
fn the_body_of_an_answer_whose_handler_panics_in_its_drop_is_dropped_before_its_guard() {
    // One that is handed over in one piece, and one that may wait.
    for hint in [SizeHint::with_exact(0), SizeHint::default()] {
        let handlers = Handlers::that(|handlers| handlers.panics_in_drop = true);
        let mut app = App::over(handlers, DrainLayer::new());
        let mut opened = app.send(get("/"));
        let call = app.handlers.next();
        let script = Script::new();
        script.hint(hint);
        let (response, seen) = body_probe(&app.handle, &script);
        call.respond(response);
        assert!(panics(|| opened.poll()));
        assert_eq!((seen.try_recv(), app.handle.in_flight()), (Ok(1), 0));
        assert!(app.handle.stragglers().is_empty());
    }
}

#[test]
fn a_panic_in_the_drop_of_the_body_releases_the_request() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    call.respond(Response::new(Script::new().body().panics_in_drop()));
    let body = answer(&mut opened).into_body();
    assert!(panics(|| drop(body)));
    assert_eq!(app.handle.in_flight(), 0);
}
