//! Where the layer goes: each row of the README's table, and what becomes of requests where it went elsewhere.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{service_fn, ServiceBuilder};
use tower_drain::testing::{DrainTest, End};
use tower_drain::{DrainHandle, DrainLayer, Phase};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::testing_support::SECOND;

type Answer = Response<Full<Bytes>>;

async fn slow(_: Request<Full<Bytes>>) -> Result<Answer, Infallible> {
    tokio::time::sleep(5 * SECOND).await;
    Ok(Response::new("slow".into()))
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_queue_the_layer_counts_and_keeps_what_waits_in_it() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = ServiceBuilder::new()
        .layer(layer)
        .buffer(8)
        .concurrency_limit(1)
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = [
        test.open("/1").await,
        test.open("/2").await,
        test.open("/3").await,
    ];
    assert_eq!(handle.in_flight(), 3);
    handle.begin_shutdown();
    for open in &open {
        assert_eq!(open.ended().await, End::Complete);
        assert_eq!(open.status(), Some(StatusCode::OK));
    }
}

#[tokio::test(start_paused = true)]
async fn inside_of_a_queue_the_layer_neither_counts_nor_keeps_what_waits_in_it() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = ServiceBuilder::new()
        .buffer(8)
        .concurrency_limit(1)
        .layer(layer)
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = [
        test.open("/1").await,
        test.open("/2").await,
        test.open("/3").await,
    ];
    assert_eq!(handle.in_flight(), 1);
    handle.begin_shutdown();
    let mut statuses = Vec::new();
    for open in &open {
        assert_eq!(open.ended().await, End::Complete);
        statuses.push(open.status().unwrap().as_u16());
    }
    assert_eq!(statuses, [200, 503, 503]);
}

#[tokio::test(start_paused = true)]
async fn what_a_timeout_inside_answers_belongs_to_the_request() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SECOND);
    let app = ServiceBuilder::new()
        .layer(layer)
        .layer(timeout)
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = test.open("/").await;
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Draining);
    assert_eq!(open.ended().await, End::Complete);
    assert_eq!(open.status(), Some(StatusCode::REQUEST_TIMEOUT));
    assert!(open.closes_connection());
    assert_eq!(handle.phase(), Phase::Drained);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_panic_inside_belongs_to_the_request() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let panics = service_fn(|request| async move {
        slow(request).await?;
        std::panic::resume_unwind(Box::new("the test says so"));
        #[allow(unreachable_code)]
        Ok::<Answer, Infallible>(Answer::default())
    });
    let app = ServiceBuilder::new()
        .layer(layer)
        .layer(CatchPanicLayer::new())
        .service(panics);
    let test = DrainTest::new(app, handle.clone());
    let open = test.open("/").await;
    handle.begin_shutdown();
    assert_eq!(handle.in_flight(), 1);
    assert_eq!(open.ended().await, End::Complete);
    assert_eq!(open.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert!(open.closes_connection());
    assert_eq!(handle.phase(), Phase::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_passes_two_layers_of_a_handle_counts_twice() {
    let handle = DrainHandle::new();
    let app = ServiceBuilder::new()
        .layer(DrainLayer::from_handle(handle.clone()))
        .layer(DrainLayer::from_handle(handle.clone()))
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = test.open("/").await;
    assert_eq!(handle.in_flight(), 2);
    assert_eq!(open.ended().await, End::Complete);
    assert_eq!(handle.in_flight(), 0);
}
