//! Every way a response can end, over real connections: afterwards nothing is in flight.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{stream, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder};
use tower_drain::{BoxError, DrainHandle, DrainLayer, ResponseBody};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::sockets_frames::{Frames, CANCEL, DATA, HEADERS};
use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, h2, h2_request, serve_hyper, within, Step};

/// What stands between hyper and the layer.
#[derive(Clone, Copy, Debug)]
enum Outside {
    Nothing,
    Timeout,
    CatchPanic,
    /// Makes the layer's future and drops it before its first poll.
    Drops,
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Whole(&'static str, &'static str),
    Broken,
    /// The client goes before an answer is there.
    LeftEarly,
    /// The client goes after the first chunk.
    LeftMidBody,
}

use Ends::{Broken, LeftEarly, LeftMidBody, Whole};

const ROWS: &[(&str, &str, Outside, Ends)] = &[
    ("GET", "/200", Outside::Nothing, Whole("200", "hello")),
    ("GET", "/204", Outside::Nothing, Whole("204", "")),
    ("GET", "/304", Outside::Nothing, Whole("304", "")),
    ("HEAD", "/200", Outside::Nothing, Whole("200", "")),
    ("HEAD", "/chunked", Outside::Nothing, Whole("200", "")),
    ("GET", "/empty", Outside::Nothing, Whole("200", "")),
    ("GET", "/length", Outside::Nothing, Whole("200", "abc")),
    ("GET", "/chunked", Outside::Nothing, Whole("200", "abc")),
    ("GET", "/trailers", Outside::Nothing, Whole("200", "abc")),
    ("GET", "/body-error", Outside::Nothing, Broken),
    ("GET", "/error", Outside::Nothing, Broken),
    ("GET", "/panic", Outside::Nothing, Broken),
    ("GET", "/panic", Outside::CatchPanic, Whole("500", "")),
    ("GET", "/body-panic", Outside::Nothing, Broken),
    ("GET", "/never", Outside::Timeout, Whole("408", "")),
    ("GET", "/200", Outside::Drops, Whole("418", "")),
    ("GET", "/never", Outside::Nothing, LeftEarly),
    ("GET", "/endless", Outside::Nothing, LeftMidBody),
];

/// Tells that the inner service was called, and what was in flight then.
#[derive(Clone, Debug)]
struct Probe {
    handle: DrainHandle,
    called: Step,
    in_flight: Arc<AtomicUsize>,
}

fn chunks() -> impl futures_util::Stream<Item = Result<Bytes, BoxError>> {
    stream::iter(["a", "b", "c"]).map(|chunk| Ok(Bytes::from(chunk)))
}

/// Without the message a panic prints.
fn quiet_panic() -> ! {
    std::panic::resume_unwind(Box::new("a panic that is meant"))
}

async fn answer(path: &str) -> Result<Response<Body>, BoxError> {
    let response = Response::builder();
    let response = match path {
        "/200" => response.body(Body::from("hello")),
        "/204" => response.status(204).body(Body::empty()),
        "/304" => response.status(304).body(Body::empty()),
        "/empty" => response.body(Body::empty()),
        "/length" => response
            .header("content-length", "3")
            .body(Body::from_stream(chunks())),
        "/chunked" => response.body(Body::from_stream(chunks())),
        "/trailers" => {
            let trailers = HeaderMap::from_iter([(
                http::header::HeaderName::from_static("x-sum"),
                http::HeaderValue::from_static("294"),
            )]);
            let frames = chunks().map(|chunk| chunk.map(Frame::data));
            let last = stream::once(async { Ok(Frame::trailers(trailers)) });
            let body = Body::new(StreamBody::new(frames.chain(last)));
            response.header("trailer", "x-sum").body(body)
        }
        "/body-error" => {
            let error = stream::once(async { Err("a body error that is meant".into()) });
            response.body(Body::from_stream(chunks().chain(error)))
        }
        "/error" => return Err("an inner error that is meant".into()),
        "/panic" => quiet_panic(),
        "/body-panic" => {
            let panics = stream::once(async { quiet_panic() });
            response.body(Body::from_stream(chunks().chain(panics)))
        }
        "/never" => std::future::pending().await,
        "/endless" => response.body(Body::from_stream(chunks().chain(stream::pending()))),
        other => panic!("no such row: {other}"),
    };
    Ok(response?)
}

type App = BoxCloneSyncService<Request<Incoming>, Response<ResponseBody<Body>>, BoxError>;

fn app(outside: Outside) -> (App, Probe) {
    let layer = DrainLayer::new();
    let probe = Probe {
        handle: layer.handle(),
        called: Step::new(),
        in_flight: Arc::default(),
    };
    let seen = probe.clone();
    let inner = tower::service_fn(move |request: Request<Incoming>| {
        let in_flight = seen.handle.in_flight();
        seen.in_flight.store(in_flight, Ordering::SeqCst);
        seen.called.pass();
        async move {
            let response = answer(request.uri().path()).await?;
            // On HTTP/2 the service answers for the body of a HEAD; on HTTP/1 hyper drops it.
            let is_empty = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
            Ok(match is_empty {
                true => response.map(|_| Body::empty()),
                false => response,
            })
        }
    });
    let drain = layer.layer(inner);
    let app = match outside {
        Outside::Nothing => App::new(drain),
        Outside::Timeout => {
            let wait = Duration::from_millis(20);
            let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, wait);
            App::new(timeout.layer(drain))
        }
        Outside::CatchPanic => {
            let mapped = |response: Response<_>| response.map(|_| ResponseBody::default());
            let caught = CatchPanicLayer::new();
            App::new(
                ServiceBuilder::new()
                    .map_response(mapped)
                    .layer(caught)
                    .service(drain),
            )
        }
        Outside::Drops => App::new(tower::service_fn(move |request| {
            let mut drain = drain.clone();
            async move {
                std::future::poll_fn(|cx| drain.poll_ready(cx)).await?;
                drop(drain.call(request));
                let response = Response::builder().status(418);
                Ok::<_, BoxError>(response.body(ResponseBody::default())?)
            }
        })),
    };
    (app, probe)
}

async fn over_h1(method: &str, path: &str, outside: Outside, ends: Ends) {
    let (app, probe) = app(outside);
    let mut client = Raw::connect(serve_hyper(app).await).await;
    client
        .send(format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n"
        ))
        .await;
    probe.called.passed().await;
    assert_eq!(probe.in_flight.load(Ordering::SeqCst), 1);
    // What is not reset stays connected: the count must not need the connection's end.
    let _open = match ends {
        Whole(status, body) => {
            let answer = client.answer(method).await;
            assert!(answer.is_whole, "{answer:?}");
            assert_eq!((answer.status(), &*answer.body), (status, body));
            assert_eq!(answer.trailers.is_empty(), path != "/trailers");
            Some(client)
        }
        Broken => {
            let answer = client.answer(method).await;
            assert!(!answer.is_whole, "{answer:?}");
            Some(client)
        }
        LeftEarly => {
            client.reset();
            None
        }
        LeftMidBody => {
            client.until("a\r\n").await.unwrap();
            client.reset();
            None
        }
    };
    drained(&probe.handle).await;
}

async fn over_h2(method: &str, path: &str, outside: Outside, ends: Ends, loses: bool) {
    let (app, probe) = app(outside);
    let (mut client, connection) = h2(serve_hyper(app).await).await;
    let mut sent = Box::pin(client.send_request(h2_request(method, path)));
    match ends {
        Whole(status, body) => {
            let response = within(sent).await.unwrap();
            assert_eq!(response.status().as_str(), status);
            let collected = within(response.into_body().collect()).await.unwrap();
            assert_eq!(collected.trailers().is_some(), path == "/trailers");
            assert_eq!(collected.to_bytes(), body);
        }
        Broken => {
            let whole = async { sent.await?.into_body().collect().await };
            within(whole).await.unwrap_err();
        }
        LeftEarly => {
            tokio::select! {
                _ = &mut sent => panic!("it is never answered"),
                () = probe.called.passed() => probe.called.pass(),
            }
            drop(sent);
            if loses {
                connection.abort();
            }
        }
        LeftMidBody => {
            let mut body = within(sent).await.unwrap().into_body();
            within(body.frame()).await.unwrap().unwrap();
            drop(body);
            if loses {
                connection.abort();
            }
        }
    }
    probe.called.passed().await;
    assert_eq!(probe.in_flight.load(Ordering::SeqCst), 1);
    drained(&probe.handle).await;
}

/// Runs a row apart, so that a failure can name it.
async fn row(name: String, run: impl std::future::Future<Output = ()> + Send + 'static) {
    if let Err(error) = tokio::spawn(run).await {
        panic!("{name}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_in_flight_however_an_http1_response_ends() {
    for &(method, path, outside, ends) in ROWS {
        let name = format!("{method} {path}, outside {outside:?}, {ends:?}");
        row(name, over_h1(method, path, outside, ends)).await;
    }
}

#[tokio::test]
async fn nothing_is_in_flight_however_an_http2_response_ends() {
    for &(method, path, outside, ends) in ROWS {
        let name = format!("{method} {path}, outside {outside:?}, {ends:?}");
        row(name, over_h2(method, path, outside, ends, false)).await;
    }
}

#[tokio::test]
async fn nothing_is_in_flight_after_an_http2_connection_is_lost() {
    for &(method, path, outside, ends) in ROWS {
        if matches!(ends, LeftEarly | LeftMidBody) {
            let name = format!("{method} {path}, {ends:?}");
            row(name, over_h2(method, path, outside, ends, true)).await;
        }
    }
}

#[tokio::test]
async fn a_rst_stream_ends_the_request_and_not_its_neighbour() {
    let (app, probe) = app(Outside::Nothing);
    let mut client = Frames::connect(serve_hyper(app).await, 65_535).await;
    client.get(1, "/never").await;
    probe.called.passed().await;
    client.get(3, "/endless").await;
    while client.next().await.kind != DATA {}
    assert_eq!(probe.handle.in_flight(), 2);

    let changed = drain_to(&probe.handle, 1);
    client.reset(1, CANCEL).await;
    within(changed).await;
    client.reset(3, CANCEL).await;
    drained(&probe.handle).await;

    client.get(5, "/200").await;
    let frame = loop {
        let frame = client.next().await;
        if frame.stream == 5 {
            break frame;
        }
    };
    assert_eq!(frame.kind, HEADERS, "the connection serves on: {frame:?}");
}

/// The count has no waiter for a number other than zero.
async fn drain_to(handle: &DrainHandle, in_flight: usize) {
    while handle.in_flight() != in_flight {
        tokio::task::yield_now().await;
    }
}
