//! Rule 8: from the lame duck on HTTP/1 answers close their connection.

use http::{Method, Request, Response, StatusCode, Version};
use tower_drain::{DrainLayer, ResponseBody};

use crate::support::{answer, get, request, App, Script, TestBody};

/// The answer, with the status and `connection` values that the handler gave it, to a request that is admitted
/// while serving and answered as a lame duck.
fn answered(request: Request<()>, status: u16, own: &[&str]) -> Response<ResponseBody<TestBody>> {
    let mut app = App::new();
    let (mut opened, call) = app.open(request);
    app.handle.begin_lame_duck();
    let mut response = Response::builder().status(status);
    for value in own {
        response = response.header("connection", *value);
    }
    call.respond(response.body(Script::new().body()).unwrap());
    answer(&mut opened)
}

fn connection(response: &Response<ResponseBody<TestBody>>) -> Vec<&str> {
    let values = response.headers().get_all("connection");
    values.iter().map(|value| value.to_str().unwrap()).collect()
}

fn of(version: Version) -> Request<()> {
    request(Method::GET, version, &[])
}

#[test]
fn a_lame_duck_closes_http_1_1() {
    let response = answered(of(Version::HTTP_11), 200, &[]);
    assert_eq!(connection(&response), ["close"]);
    assert_eq!(response.version(), Version::HTTP_11);
}

#[test]
fn a_lame_duck_closes_http_1_0_and_answers_in_1_0() {
    let response = answered(of(Version::HTTP_10), 200, &[]);
    assert_eq!(connection(&response), ["close"]);
    assert_eq!(response.version(), Version::HTTP_10);
}

#[test]
fn it_goes_by_the_version_of_the_request_not_of_the_answer() {
    let mut app = App::new();
    let (mut opened, call) = app.open(of(Version::HTTP_2));
    app.handle.begin_lame_duck();
    call.answer(&Script::new());
    let response = answer(&mut opened);
    assert_eq!(
        response.version(),
        Version::HTTP_11,
        "what `Response::new` says"
    );
    assert_eq!(connection(&response), [""; 0]);
}

#[test]
fn http_2_and_3_never_get_a_connection_header() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        assert_eq!(connection(&answered(of(version), 200, &[])), [""; 0]);
    }
}

#[test]
fn close_is_appended_and_what_the_handler_said_is_kept() {
    let response = answered(of(Version::HTTP_11), 200, &["x-hop", "keep-alive"]);
    assert_eq!(connection(&response), ["x-hop", "keep-alive", "close"]);
}

#[test]
fn a_close_of_the_handlers_own_is_not_repeated() {
    for own in ["close", "Close", "x-hop, close", "x-hop ,CLOSE ,y"] {
        let response = answered(of(Version::HTTP_11), 200, &[own]);
        assert_eq!(connection(&response), [own]);
    }
    let response = answered(of(Version::HTTP_11), 200, &["closed, x-close"]);
    assert_eq!(connection(&response), ["closed, x-close", "close"]);
}

#[test]
fn a_101_is_left_alone() {
    let response = answered(of(Version::HTTP_11), 101, &["upgrade"]);
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(connection(&response), ["upgrade"]);
}

#[test]
fn a_2xx_to_connect_is_left_alone_and_a_4xx_to_connect_closes() {
    let connect = || request(Method::CONNECT, Version::HTTP_11, &[]);
    for status in [200, 204, 299] {
        assert_eq!(connection(&answered(connect(), status, &[])), [""; 0]);
    }
    for status in [302, 407, 502] {
        assert_eq!(connection(&answered(connect(), status, &[])), ["close"]);
    }
    let connect = request(Method::CONNECT, Version::HTTP_10, &[]);
    assert_eq!(answered(connect, 200, &[]).version(), Version::HTTP_11);
}

#[test]
fn exempt_answers_close_too() {
    let mut app = App::of(DrainLayer::new().exempt(|_| true));
    app.handle.begin_lame_duck();
    let (mut opened, call) = app.open(get("/livez"));
    call.answer(&Script::new());
    assert_eq!(connection(&answer(&mut opened)), ["close"]);
}

#[test]
fn every_phase_after_serving_closes_and_a_resume_ends_it() {
    let mut app = App::of(DrainLayer::new().exempt(|_| true));
    let closes = |app: &mut App| {
        let (mut opened, call) = app.open(get("/"));
        call.answer(&Script::new());
        !connection(&answer(&mut opened)).is_empty()
    };
    let guard = app.handle.try_guard().unwrap();
    assert!(!closes(&mut app));
    let nonce = app.handle.begin_lame_duck_because("a try".into()).unwrap();
    assert!(closes(&mut app));
    app.handle.begin_shutdown();
    assert!(closes(&mut app));
    drop(guard);
    assert!(closes(&mut app));
    app.handle.resume(nonce).unwrap();
    assert!(!closes(&mut app));
}

#[test]
fn an_answer_that_is_out_before_the_lame_duck_is_not_touched() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    call.answer(&Script::new());
    let response = answer(&mut opened);
    app.handle.begin_shutdown();
    assert_eq!(connection(&response), [""; 0]);
}

#[test]
fn a_rejected_connect_closes() {
    let mut app = App::new();
    app.handle.begin_shutdown();
    let response = app.answer(request(Method::CONNECT, Version::HTTP_11, &[]));
    assert_eq!(
        (response.status().as_u16(), connection(&response)),
        (503, vec!["close"])
    );
}
