//! The layer over the bodies, and under the layers, that it meets in the field.

use std::convert::Infallible;
use std::time::Duration;

use axum::routing::get;
use axum::Router;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::time::advance;
use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower::{service_fn, Service, ServiceBuilder, ServiceExt};
use tower_drain::{BoxError, DrainLayer, Phase, ResponseBody};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use crate::support::poll_ready;

/// One whole request over a body of this type, through two layers on top of each other.
fn carries<B>(body: B, expected: &str)
where
    B: Body + Send + 'static,
    B::Data: From<Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let mut body = Some(body);
    let (outer, inner) = (DrainLayer::new(), DrainLayer::new());
    let handle = outer.handle();
    let mut service = ServiceBuilder::new()
        .layer(outer)
        .layer(inner)
        .service(service_fn(move |_: Request<()>| {
            let response = Response::new(body.take().unwrap());
            async move { Ok::<_, Infallible>(response) }
        }));
    assert!(poll_ready(&mut service).is_ready());
    let response = assert_ready!(spawn(service.call(Request::new(()))).poll()).unwrap();
    assert_eq!(handle.in_flight(), 1);
    let collected = assert_ready!(spawn(response.into_body().collect()).poll()).unwrap();
    assert_eq!(collected.to_bytes(), expected);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn it_carries_the_bodies_of_the_field() {
    let full = || Full::new(Bytes::from_static(b"body"));
    carries(full(), "body");
    carries(Empty::<Bytes>::new(), "");
    carries(axum::body::Body::from("body"), "body");
    carries(tonic::body::Body::new(full()), "body");
    carries(
        BoxBody::<Bytes, BoxError>::new(full().map_err(Into::into)),
        "body",
    );
    carries(
        UnsyncBoxBody::<Bytes, BoxError>::new(full().map_err(Into::into)),
        "body",
    );
    let frames = ["bo", "dy"].map(|data| Ok::<_, BoxError>(Frame::data(Bytes::from(data))));
    carries(StreamBody::new(tokio_stream::iter(frames)), "body");
    // A value of it comes from a connection only.
    let _ = carries::<hyper::body::Incoming>;
}

#[tokio::test]
async fn a_router_of_axum_takes_the_layer_and_serves_and_rejects() {
    let layer = DrainLayer::new().exempt(|head| head.uri().path() == "/livez");
    let handle = layer.handle();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/livez", get(|| async { "alive" }))
        .layer(layer);
    let ask = |path: &str| {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        app.clone().oneshot(request)
    };
    let response = ask("/").await.unwrap();
    assert_eq!(handle.in_flight(), 1);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    assert_eq!(handle.in_flight(), 0);
    handle.begin_shutdown();
    assert_eq!(ask("/").await.unwrap().status(), 503);
    assert_eq!(ask("/livez").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_cors_layer_outside_answers_preflights_and_marks_rejections_while_draining() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let service = ServiceBuilder::new()
        .layer(CorsLayer::permissive())
        .layer(layer)
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
    handle.begin_shutdown();
    let ask = |method| {
        let request = Request::builder()
            .method(method)
            .header("origin", "https://example.org")
            .header("access-control-request-method", "GET");
        service.clone().oneshot(request.body(()).unwrap())
    };
    let preflight: Response<ResponseBody<Full<Bytes>>> = ask(Method::OPTIONS).await.unwrap();
    assert_eq!(preflight.status(), 200);
    let rejected = ask(Method::GET).await.unwrap();
    assert_eq!(rejected.status(), 503);
    assert!(rejected
        .headers()
        .contains_key("access-control-allow-origin"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_outside_releases_the_request_that_it_gives_up() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let timeout = Duration::from_secs(1);
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            timeout,
        ))
        .layer(layer)
        .service(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
        }));
    let mut asked = spawn(service.oneshot(Request::new(())));
    assert!(asked.poll().is_pending());
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Draining);
    advance(timeout).await;
    let response = assert_ready!(asked.poll()).unwrap();
    assert_eq!(response.status(), 504);
    drop(asked);
    assert_eq!(handle.phase(), Phase::Drained);
}

#[test]
fn a_catch_panic_layer_outside_answers_500_and_the_request_is_released() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let service = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(layer)
        .service(service_fn(|_: Request<()>| async {
            std::panic::resume_unwind(Box::new("on purpose"));
            #[allow(unreachable_code)]
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
    let mut asked = spawn(service.oneshot(Request::new(())));
    assert_eq!(assert_ready!(asked.poll()).unwrap().status(), 500);
    drop(asked);
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_full_concurrency_limit_inside_does_not_hold_rejections_back() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let service = ServiceBuilder::new()
        .layer(layer)
        .concurrency_limit(1)
        .service(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
        }));
    let mut first = spawn(service.clone().oneshot(Request::new(())));
    let mut second = spawn(service.oneshot(Request::new(())));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!(
        handle.in_flight(),
        1,
        "what waits for the limit is not admitted"
    );
    handle.begin_shutdown();
    assert!(second.is_woken());
    assert_eq!(assert_ready!(second.poll()).unwrap().status(), 503);
    drop(first);
    assert_eq!(handle.phase(), Phase::Drained);
}
