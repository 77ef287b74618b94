//! Rule 6: what passes through unchanged.

use std::task::Poll;

use http::header::HeaderMap;
use http::{Response, StatusCode};
use http_body::{Body, SizeHint};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use crate::support::{answer, data, get, poll_frame, App, Script};

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("x-checksum".parse().unwrap(), "abc".parse().unwrap())])
}

#[test]
fn frames_and_trailers_pass_in_order_and_end_when_the_body_ends() {
    let mut app = App::new();
    let script = Script::new();
    script.data("one").data("two").trailers(trailers()).close();
    let mut body = app.stream(&script);
    assert_eq!(data(&mut body), "one");
    assert_eq!(data(&mut body), "two");
    let last = assert_ready!(poll_frame(&mut body)).unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap(), trailers());
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
}

#[test]
fn each_poll_of_the_body_is_one_poll_of_the_inner_body() {
    let mut app = App::new();
    let script = Script::new();
    let mut body = app.stream(&script);
    assert_eq!(script.polls(), 0);
    for polls in 1..=3 {
        assert_pending!(poll_frame(&mut body).map(|_| ()));
        assert_eq!(script.polls(), polls);
    }
    script.data("one");
    assert!(body.is_woken());
    assert_eq!((data(&mut body).as_ref(), script.polls()), (&b"one"[..], 4));
}

#[test]
fn is_end_stream_is_that_of_the_inner_body() {
    let mut app = App::new();
    let script = Script::new();
    let mut body = app.stream(&script);
    assert!(!body.is_end_stream());
    script.data("last").says_end();
    assert!(!body.is_end_stream());
    data(&mut body);
    assert!(body.is_end_stream());
}

#[test]
fn the_size_hint_is_that_of_the_inner_body() {
    let mut app = App::new();
    let script = Script::new();
    let body = app.stream(&script);
    let mut hint = SizeHint::new();
    hint.set_lower(7);
    hint.set_upper(70);
    for hint in [SizeHint::with_exact(5), hint, SizeHint::new()] {
        script.hint(hint);
        let seen = body.size_hint();
        assert_eq!((seen.lower(), seen.upper()), (hint.lower(), hint.upper()));
    }
}

#[test]
fn an_empty_body_says_so_without_being_polled() {
    let mut app = App::new();
    let script = Script::new();
    script.close().says_end().hint(SizeHint::with_exact(0));
    let body = app.stream(&script);
    assert!(body.is_end_stream());
    assert_eq!((body.size_hint().exact(), script.polls()), (Some(0), 0));
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn the_answer_before_a_drain_is_the_handlers_own_byte_for_byte() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    let mut expected = Response::builder().status(StatusCode::IM_A_TEAPOT);
    for (name, value) in [
        ("x-b", "2"),
        ("x-a", "1"),
        ("connection", "Keep-Alive, Upgrade"),
        ("x-b", "3"),
        ("content-length", "4"),
    ] {
        expected = expected.header(name, value);
    }
    let expected = expected.extension(7_u8).body(()).unwrap();
    let (parts, ()) = expected.clone().into_parts();
    call.respond(Response::from_parts(parts, Script::new().body()));

    let response = answer(&mut opened);
    let list = |headers: &HeaderMap| -> Vec<_> {
        headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    assert_eq!(list(response.headers()), list(expected.headers()));
    assert_eq!(response.status(), expected.status());
    assert_eq!(response.version(), expected.version());
    assert_eq!(response.extensions().get::<u8>(), Some(&7));
}

#[test]
fn the_request_reaches_the_inner_service_unchanged() {
    let mut app = App::new();
    let mut sent = get("/path?query");
    sent.headers_mut().insert("x-key", "value".parse().unwrap());
    sent.extensions_mut().insert(7_u8);
    let (_opened, call) = app.open(sent);
    assert_eq!(call.request.uri(), "/path?query");
    assert_eq!(call.request.headers()["x-key"], "value");
    assert_eq!(call.request.extensions().get::<u8>(), Some(&7));
    assert_eq!(call.request.extensions().len(), 1);
}

#[test]
fn what_runs_while_draining_is_not_touched_but_for_its_connection() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    app.handle.begin_shutdown();
    let script = Script::new();
    script.data("whole").trailers(trailers());
    call.answer(&script);
    let response = answer(&mut opened);
    assert_eq!(
        (response.status().as_u16(), response.headers().len()),
        (200, 1)
    );
    let mut body = spawn(response.into_body());
    assert_eq!(data(&mut body), "whole");
    assert!(matches!(poll_frame(&mut body), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
}

#[test]
fn a_default_body_is_empty_and_counts_nothing() {
    let mut body = spawn(tower_drain::ResponseBody::<crate::support::TestBody>::default());
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
}
