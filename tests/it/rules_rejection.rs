//! Rules 3 and 4: rejections are no part of the count, and what they look like.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use http::header::HeaderMap;
use http::{Method, Response, Version};
use tower::{Layer, Service};
use tower_drain::{DrainLayer, Phase, RequestHead};

use crate::support::{get, grpc, poll_ready, request, text, App, Handlers, Script, TestBody};

fn rejecting() -> App {
    let app = App::new();
    app.handle.begin_shutdown();
    app
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_rejected_request_never_shows_in_in_flight() {
    const FLOOD: u64 = 50_000;
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples = 0_u32;
            while !done.load(SeqCst) {
                assert_eq!(handle.in_flight(), 1);
                samples += 1;
            }
            samples
        });
        let flood: Vec<_> = (0..3)
            .map(|_| {
                let mut service = layer.layer(Handlers::default());
                scope.spawn(move || {
                    for _ in 0..FLOOD {
                        assert!(poll_ready(&mut service).is_ready());
                        let rejected = service.call(get("/"));
                        drop(rejected);
                    }
                })
            })
            .collect();
        flood.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, SeqCst);
        assert!(sampler.join().unwrap() > 0);
    });
    assert_eq!(handle.status().rejected, 3 * FLOOD);
    drop(guard);
    assert_eq!(handle.phase(), Phase::Drained);
}

#[test]
fn an_open_rejection_does_not_delay_the_end() {
    let mut app = App::new();
    let guard = app.handle.try_guard().unwrap();
    app.handle.begin_shutdown();
    let future = app.send(get("/"));
    let response = app.answer(get("/"));
    assert_eq!(app.handle.in_flight(), 1);
    drop(guard);
    assert_eq!(app.handle.phase(), Phase::Drained);
    assert_eq!(text(response.into_body()), "the service is shutting down\n");
    drop(future);
}

#[test]
fn a_rejection_is_503_with_retry_after_and_closes_http_1() {
    for version in [Version::HTTP_10, Version::HTTP_11] {
        let response = rejecting().answer(request(Method::GET, version, &[]));
        assert_eq!(response.status(), 503);
        assert_eq!(value(response.headers(), "retry-after"), Some("1"));
        assert_eq!(value(response.headers(), "connection"), Some("close"));
        assert_eq!(response.version(), version);
        let plain = "text/plain; charset=utf-8";
        assert_eq!(value(response.headers(), "content-type"), Some(plain));
    }
}

#[test]
fn a_rejection_on_http_2_has_no_connection_header() {
    let response = rejecting().answer(request(Method::GET, Version::HTTP_2, &[]));
    assert_eq!(response.status(), 503);
    assert_eq!(value(response.headers(), "retry-after"), Some("1"));
    assert!(!response.headers().contains_key("connection"));
}

#[test]
fn a_rejected_grpc_call_gets_200_with_its_content_type_and_unavailable_in_the_headers() {
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/gRPC+json; charset=utf-8",
        "Application/GRPC",
        "application/grpc-web",
        "application/grpc-web-text+proto",
    ] {
        let headers = [("content-type", content_type)];
        let response = rejecting().answer(request(Method::POST, Version::HTTP_2, &headers));
        assert_eq!(response.status(), 200, "{content_type}");
        assert_eq!(
            value(response.headers(), "content-type"),
            Some(content_type)
        );
        assert_eq!(value(response.headers(), "grpc-status"), Some("14"));
        assert!(!response.headers().contains_key("retry-after"));
        assert!(!response.headers().contains_key("connection"));
        assert!(http_body::Body::is_end_stream(response.body()));
        assert_eq!(text(response.into_body()), "");
    }
}

#[test]
fn a_content_type_that_is_not_grpc_gets_the_503() {
    for content_type in [
        "application/json",
        "application/grp",
        "application/grpcx",
        "application/grpc-webs",
        "text/application/grpc",
    ] {
        let headers = [("content-type", content_type)];
        let response = rejecting().answer(request(Method::POST, Version::HTTP_2, &headers));
        assert_eq!(response.status(), 503, "{content_type}");
    }
}

#[test]
fn a_rejected_grpc_call_on_http_1_closes_its_connection() {
    let headers = [("content-type", "application/grpc-web")];
    let response = rejecting().answer(request(Method::POST, Version::HTTP_11, &headers));
    assert_eq!(value(response.headers(), "connection"), Some("close"));
}

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (delay, says) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_secs(5), "5"),
        (Duration::from_millis(5_001), "6"),
        (Duration::MAX, "18446744073709551615"),
    ] {
        let mut app = App::of(DrainLayer::new().retry_after(delay));
        app.handle.begin_shutdown();
        let response = app.answer(get("/"));
        assert_eq!(value(response.headers(), "retry-after"), Some(says));
    }
}

#[test]
fn a_callers_rejection_is_asked_for_grpc_too_and_gets_only_connection_close() {
    let own = |head: &RequestHead<'_>| -> Response<TestBody> {
        let script = Script::new();
        script.data("come back").close();
        let path = head.uri().path();
        Response::builder()
            .status(if path == "/" { 429 } else { 500 })
            .header("x-own", "1")
            .body(script.body())
            .unwrap()
    };
    let mut app = App::of(DrainLayer::new().rejection(own));
    app.handle.begin_shutdown();

    let response = app.answer(get("/"));
    assert_eq!(
        (response.status().as_u16(), response.headers().len()),
        (429, 2)
    );
    assert_eq!(value(response.headers(), "connection"), Some("close"));
    assert_eq!(text(response.into_body()), "come back");

    let response = app.answer(grpc());
    assert_eq!(
        (response.status().as_u16(), response.headers().len()),
        (429, 1)
    );
    assert_eq!(app.handlers.called(), 0);
}

#[test]
fn a_callers_connection_header_is_kept_beside_close() {
    let own = |_: &RequestHead<'_>| -> Response<TestBody> {
        let mut response = Response::new(Script::new().body());
        response
            .headers_mut()
            .insert("connection", "x-hop".parse().unwrap());
        response
    };
    let mut app = App::of(DrainLayer::new().rejection(own));
    app.handle.begin_shutdown();
    let response = app.answer(get("/"));
    let all: Vec<_> = response.headers().get_all("connection").iter().collect();
    assert_eq!(all, ["x-hop", "close"]);
}

#[test]
fn the_head_that_closures_see_is_the_whole_request_without_its_body() {
    let layer = DrainLayer::new().exempt(|head| {
        assert_eq!(
            (head.method(), head.version()),
            (&Method::POST, Version::HTTP_10)
        );
        assert_eq!(head.headers()["x-key"], "value");
        head.extensions().get::<u8>() == Some(&7) && head.uri().query() == Some("all")
    });
    let mut app = App::of(layer);
    let mut all = request(Method::POST, Version::HTTP_10, &[("x-key", "value")]);
    *all.uri_mut() = "/probe?all".parse().unwrap();
    all.extensions_mut().insert(7_u8);
    let (_opened, _call) = app.open(all);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn an_exempt_request_is_neither_counted_nor_rejected_nor_cut() {
    let layer = DrainLayer::new()
        .exempt(|head| head.uri().path() == "/livez")
        .exempt(|head| head.uri().path() == "/metrics");
    let mut app = App::of(layer);
    app.handle.begin_shutdown();
    for path in ["/livez", "/metrics"] {
        let (mut opened, call) = app.open(get(path));
        assert_eq!((app.handle.in_flight(), app.handle.cut()), (0, 0));
        assert!(opened.poll().is_pending());
        let script = Script::new();
        script.data("ok");
        call.answer(&script);
        let response = crate::support::answer(&mut opened);
        assert_eq!(app.handle.in_flight(), 0);
        let mut body = tokio_test::task::spawn(response.into_body());
        app.handle.cut();
        assert_eq!(crate::support::data(&mut body), "ok");
        assert!(crate::support::poll_frame(&mut body).is_pending());
    }
    assert_eq!(app.answer(get("/")).status(), 503);
    assert_eq!(app.handle.status().rejected, 1);
}
