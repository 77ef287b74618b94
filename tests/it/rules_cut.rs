//! Rule 9: how a cut ends what is in flight.

use std::task::Poll;

use http::header::HeaderMap;
use http::{Method, Response, Version};
use tokio_test::task::{spawn, Spawn};
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{CutError, DrainHandle, ResponseBody};

use crate::support::{answer, data, get, grpc, poll_frame, request, text};
use crate::support::{App, Script, TestBody};

fn is_cut(body: &mut Spawn<ResponseBody<TestBody>>) -> bool {
    match poll_frame(body) {
        Poll::Ready(Some(Err(error))) => error.is::<CutError>(),
        _ => false,
    }
}

fn grpc_stream(
    app: &mut App,
    request: http::Request<()>,
    says: &str,
) -> Spawn<ResponseBody<TestBody>> {
    let (mut opened, call) = app.open(request);
    let response = Response::builder().header("content-type", says);
    call.respond(response.body(Script::new().body()).unwrap());
    spawn(answer(&mut opened).into_body())
}

#[test]
fn a_parked_handler_is_woken_and_answered_for_with_500_without_retry_after() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    assert_eq!(app.handle.cut(), 1);
    assert!(opened.is_woken());
    let response = answer(&mut opened);
    assert_eq!(response.status(), 500);
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(response.headers()["connection"], "close");
    let said = text(response.into_body());
    assert_eq!(
        said,
        "the service did not wait for this answer any longer\n"
    );
    assert_eq!(app.handle.in_flight(), 0);
    drop(call);
}

#[test]
fn the_answer_to_a_cut_request_goes_by_its_version() {
    let cut = |version| {
        let mut app = App::new();
        let (mut opened, _call) = app.open(request(Method::GET, version, &[]));
        app.handle.cut();
        answer(&mut opened)
    };
    assert_eq!(cut(Version::HTTP_10).version(), Version::HTTP_10);
    assert!(!cut(Version::HTTP_2).headers().contains_key("connection"));
}

#[test]
fn a_cut_is_asked_before_the_handler_is_polled() {
    let mut app = App::new();
    let mut opened = app.send(get("/"));
    let call = app.handlers.next();
    call.panic();
    app.handle.cut();
    assert_eq!(answer(&mut opened).status(), 500);
}

#[test]
fn a_cut_is_asked_before_the_body_is_polled() {
    let mut app = App::new();
    let script = Script::new();
    let mut body = app.stream(&script);
    script.panics_when_polled();
    app.handle.cut();
    assert!(is_cut(&mut body));
    assert_eq!(script.polls(), 0);
}

#[test]
fn a_cut_is_asked_before_a_tracked_future_is_polled_and_gives_none() {
    let handle = DrainHandle::new();
    let mut tracked = spawn(handle.track(async { panic!("polled") }).unwrap());
    assert_eq!(handle.cut(), 1);
    assert_eq!(assert_ready!(tracked.poll()), None::<()>);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_parked_tracked_future_is_woken_and_gives_none() {
    let handle = DrainHandle::new();
    let mut tracked = spawn(handle.track(std::future::pending::<()>()).unwrap());
    assert_pending!(tracked.poll());
    handle.cut();
    assert!(tracked.is_woken());
    assert_eq!(assert_ready!(tracked.poll()), None);
}

#[test]
fn a_tracked_future_that_is_not_cut_gives_its_output() {
    let handle = DrainHandle::new();
    let mut tracked = spawn(handle.track(async { 7 }).unwrap());
    assert_eq!(assert_ready!(tracked.poll()), Some(7));
    assert_eq!((handle.in_flight(), handle.cut()), (0, 0));
}

#[test]
fn a_parked_body_is_woken_and_ends_in_a_cut_error() {
    let mut app = App::new();
    let mut body = app.stream(&Script::new());
    assert_pending!(poll_frame(&mut body).map(|_| ()));
    app.handle.cut();
    assert!(body.is_woken());
    assert!(is_cut(&mut body));
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
}

#[test]
fn a_body_that_is_woken_from_another_task_is_woken_there() {
    let mut app = App::new();
    let mut body = app.stream(&Script::new());
    assert_pending!(poll_frame(&mut body).map(|_| ()));
    let mut moved = spawn(body.into_inner());
    assert_pending!(poll_frame(&mut moved).map(|_| ()));
    app.handle.cut();
    assert!(moved.is_woken());
}

#[test]
fn a_body_that_waits_after_data_is_woken() {
    let mut app = App::new();
    let script = Script::new();
    script.data("one").data("two");
    let mut body = app.stream(&script);
    data(&mut body);
    data(&mut body);
    assert_pending!(poll_frame(&mut body).map(|_| ()));
    app.handle.cut();
    assert!(body.is_woken());
    assert!(is_cut(&mut body));
}

#[test]
fn an_unanswered_grpc_call_is_cancelled_in_the_headers() {
    for (content_type, answered) in [
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web"),
    ] {
        let mut app = App::new();
        let headers = [("content-type", content_type)];
        let (mut opened, _call) = app.open(request(Method::POST, Version::HTTP_2, &headers));
        app.handle.cut();
        let response = answer(&mut opened);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "1");
        assert_eq!(response.headers()["content-type"], answered);
        assert_eq!(text(response.into_body()), "");
    }
}

#[test]
fn an_open_grpc_body_is_cancelled_in_trailers() {
    let mut app = App::new();
    let mut body = grpc_stream(&mut app, grpc(), "application/grpc");
    assert_pending!(poll_frame(&mut body).map(|_| ()));
    app.handle.cut();
    let last = assert_ready!(poll_frame(&mut body)).unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap()["grpc-status"], "1");
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
}

#[test]
fn a_body_that_is_not_native_grpc_both_ways_ends_in_an_error() {
    let mut app = App::new();
    let web = [("content-type", "application/grpc-web")];
    let web = request(Method::POST, Version::HTTP_2, &web);
    let mut bodies = [
        grpc_stream(&mut app, web, "application/grpc-web"),
        grpc_stream(&mut app, grpc(), "text/html"),
        grpc_stream(&mut app, get("/"), "application/grpc"),
    ];
    app.handle.cut();
    assert!(bodies.iter_mut().all(is_cut));
}

#[test]
fn a_body_that_ended_by_itself_is_not_turned_into_an_error() {
    let mut app = App::new();
    let ended = Script::new();
    ended.close();
    let mut ended = app.stream(&ended);
    assert!(assert_ready!(poll_frame(&mut ended)).is_none());

    let trailers = Script::new();
    trailers.trailers(HeaderMap::new()).close();
    let mut trailers = app.stream(&trailers);
    assert!(poll_frame(&mut trailers).is_ready());

    let says = Script::new();
    says.data("all").says_end().close();
    let mut says = app.stream(&says);
    data(&mut says);

    let failed = Script::new();
    failed.error("its own").close();
    let mut failed = app.stream(&failed);
    assert!(poll_frame(&mut failed).is_ready());

    app.handle.cut();
    for body in [&mut ended, &mut trailers, &mut says, &mut failed] {
        assert!(assert_ready!(poll_frame(body)).is_none());
    }
}

#[test]
fn an_empty_body_that_is_cut_unpolled_still_ends_well() {
    let mut app = App::new();
    let empty = Script::new();
    empty.close().says_end();
    let mut body = app.stream(&empty);
    app.handle.cut();
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
}

#[test]
fn a_cut_body_does_not_look_complete_before_its_error_is_out() {
    let mut app = App::new();
    let body = app.stream(&Script::new());
    app.handle.cut();
    assert!(!http_body::Body::is_end_stream(&*body));
}

#[test]
fn a_cut_between_poll_and_parking_is_not_missed() {
    let mut app = App::new();
    let handle = app.handle.clone();
    let mut opened = app.send(get("/"));
    // The handler's own poll cuts, and then waits.
    app.handlers.next().cut_in_poll(handle);
    assert_eq!(answer(&mut opened).status(), 500);
}
