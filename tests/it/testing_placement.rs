//! Where the layer goes: each row of the README's table, and what becomes of requests where it went elsewhere.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{service_fn, ServiceBuilder};
use tower_drain::testing::{DrainTest, End, OpenRequest};
use tower_drain::{DrainHandle, DrainLayer, Phase};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::testing_support::SECOND;

type Seen = Arc<Mutex<Vec<u16>>>;
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
async fn behind_a_limit_outside_of_the_layer_a_request_is_rejected_when_its_turn_comes() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(layer)
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = [test.open("/1").await, test.open("/2").await];
    assert_second_is_rejected(handle, open, 5).await;

    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = ServiceBuilder::new()
        .buffer(8)
        .rate_limit(1, 7 * SECOND)
        .layer(layer)
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let open = [test.open("/1").await, test.open("/2").await];
    assert_second_is_rejected(handle, open, 7).await;
}

async fn assert_second_is_rejected(handle: DrainHandle, open: [OpenRequest; 2], after: u64) {
    assert_eq!(handle.in_flight(), 1);
    let begun = Instant::now();
    handle.begin_shutdown();
    open[1].ended().await;
    assert_eq!(open[1].status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(begun.elapsed().as_secs_f64().round(), after as f64);
    open[0].ended().await;
    assert_eq!(open[0].status(), Some(StatusCode::OK));
}

/// A layer that keeps the status of every answer that passes it.
macro_rules! tracing {
    ($seen:ident) => {{
        let seen = $seen.clone();
        TraceLayer::new_for_http().on_response(
            move |response: &Response<_>, _: Duration, _: &Span| {
                seen.lock().unwrap().push(response.status().as_u16());
            },
        )
    }};
}

#[tokio::test(start_paused = true)]
async fn tracing_outside_of_the_layer_sees_rejections_and_inside_it_does_not() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (outside, inside) = (Seen::default(), Seen::default());
    let app = ServiceBuilder::new()
        .layer(tracing!(outside))
        .layer(layer)
        .layer(tracing!(inside))
        .service(service_fn(slow));
    let test = DrainTest::new(app, handle.clone());
    let admitted = test.open("/1").await;
    handle.begin_shutdown();
    assert_eq!(test.open("/2").await.ended().await, End::Rejected);
    assert_eq!(admitted.ended().await, End::Complete);
    assert_eq!(*outside.lock().unwrap(), [503, 200]);
    assert_eq!(*inside.lock().unwrap(), [200]);
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
