//! What `tower_drain::testing` says of requests, to right services and to wrong ones.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{header, HeaderMap, Request, Response, StatusCode, Version};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::{get, post};
use axum::Router;
use futures_util::{stream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use tower::ServiceBuilder;
use tower_drain::testing::{DrainTest, End};
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::testing_support::{endless, events, failure, limited, SECOND};

fn test(app: Router) -> DrainTest<Router> {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    limited(DrainTest::new(app.layer(layer), handle))
}

/// A test of a service that answers everything so.
fn answering<F>(answer: F) -> DrainTest<Router>
where
    F: Fn() -> Answer + Clone + Send + Sync + 'static,
{
    test(Router::new().fallback(move || {
        let answer = answer();
        async move { answer }
    }))
}

async fn end_of<F>(answer: F) -> End
where
    F: Fn() -> Answer + Clone + Send + Sync + 'static,
{
    answering(answer).open("/").await.ended().await
}

fn failed(reason: &str) -> End {
    End::Failed(reason.into())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_read_until_its_end() {
    let test = answering(|| events(&["data: 1\n\n", "data: 2\n\n"]));
    let mut open = test.open("/events?n=2").await;
    assert_eq!(open.status(), Some(StatusCode::OK));
    assert_eq!(open.header("content-type").unwrap(), "text/event-stream");
    assert!(open.is_open().await && open.text().is_empty());
    assert_eq!(open.next_event().await.as_deref(), Some("data: 1"));
    assert_eq!(open.next_event().await.as_deref(), Some("data: 2"));
    assert_eq!(open.next_event().await, None);
    assert_eq!(open.ended().await, End::Complete);
    assert_eq!(open.text(), "data: 1\n\ndata: 2\n\n");
    assert_eq!(open.events(), ["data: 1", "data: 2"]);
    assert!(!open.is_open().await);
    assert_eq!(test.handle().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_once_the_request_is_no_longer_in_flight() {
    let test = answering(|| events(&["data: 1\n\n"]));
    let open = test.open("/").await;
    test.handle().begin_shutdown();
    assert_eq!(test.handle().phase(), Phase::Draining);
    assert_eq!(open.ended().await, End::Complete);
    assert_eq!(test.handle().phase(), Phase::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_its_method_headers_and_body() {
    let echo = |headers: HeaderMap, body: String| async move {
        format!("{} {body}", headers["x-name"].to_str().unwrap())
    };
    let test = test(Router::new().route("/echo", post(echo)));
    let request = Request::post("/echo").header("x-name", "Ada");
    let open = test.send(request.body("hello".into()).unwrap()).await;
    assert_eq!(
        (open.text().as_str(), open.ended().await),
        ("Ada hello", End::Complete)
    );
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_told_from_a_handlers_own_503() {
    let test = answering(|| StatusCode::SERVICE_UNAVAILABLE.into_response());
    assert_eq!(test.open("/").await.ended().await, End::Complete);
    test.handle().begin_shutdown();
    let rejected = test.open("/").await;
    assert_eq!(rejected.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(rejected.ended().await, End::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_ones_own_is_one_whatever_it_says() {
    let layer = DrainLayer::new().rejection(|_| Response::new(Body::from("later")));
    let handle = layer.handle();
    let app = Router::new().route("/", get(|| async {})).layer(layer);
    handle.begin_shutdown();
    let rejected = DrainTest::new(app, handle).open("/").await;
    assert_eq!(
        (rejected.text().as_str(), rejected.ended().await),
        ("later", End::Rejected)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_seen_before_the_answer_in_a_body_and_through_layers_outside() {
    let slow = || async { tokio::time::sleep(SECOND * 9).await };
    let routes = Router::new()
        .route("/slow", get(slow))
        .route("/events", get(|| async { endless() }));
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(layer)
        .service(routes);
    let test = limited(DrainTest::new(app, handle.clone()));
    let (slow, events) = (test.open("/slow").await, test.open("/events").await);
    handle.begin_shutdown();
    handle.cut();
    assert_eq!(slow.ended().await, End::Cut);
    assert_eq!(slow.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(events.ended().await, End::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_500_is_no_cut() {
    let end = end_of(|| (StatusCode::INTERNAL_SERVER_ERROR, "oh\n").into_response()).await;
    assert_eq!(end, End::Complete);
}

fn grpc(trailers: Option<&'static str>) -> Answer {
    let mut last = HeaderMap::new();
    if let Some(status) = trailers {
        last.insert("grpc-status", status.parse().unwrap());
    }
    let frames = [
        Frame::data(bytes::Bytes::from("call")),
        Frame::trailers(last),
    ];
    let frames = stream::iter(frames).then(|frame| async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(frame)
    });
    let answer = Response::builder().header(header::CONTENT_TYPE, "application/grpc");
    answer.body(Body::new(StreamBody::new(frames))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_ends_with_a_status_or_has_failed() {
    assert_eq!(end_of(|| grpc(Some("0"))).await, End::Complete);
    assert_eq!(
        end_of(|| grpc(None)).await,
        failed("it ended without a `grpc-status`")
    );

    let test = answering(|| grpc(Some("0")));
    let call = Request::post("/")
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc");
    let call = test.send(call.body(Default::default()).unwrap()).await;
    test.handle().begin_shutdown();
    test.handle().cut();
    assert_eq!(call.ended().await, End::Cut);
    assert_eq!(call.trailers()["grpc-status"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stops_inside_an_event_has_failed() {
    let end = end_of(|| events(&["data: 1\n\n", "data: 2"])).await;
    assert_eq!(end, failed("it ended inside the event \"data: 2\""));
}

fn typed(headers: &'static [(header::HeaderName, &'static str)], text: &'static str) -> Answer {
    let mut answer = Answer::new(Body::from(text));
    for (name, value) in headers {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_is_one_by_the_whole_name_of_its_type_and_in_any_case() {
    for headers in [
        &[(header::CONTENT_TYPE, "Text/Event-Stream; charset=utf-8")][..],
        &[
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CONTENT_ENCODING, "identity"),
        ],
    ] {
        let end = end_of(move || typed(headers, "data: 2")).await;
        assert_eq!(end, failed("it ended inside the event \"data: 2\""));
    }
    for headers in [
        &[(header::CONTENT_TYPE, "text/event-stream-index")][..],
        &[
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CONTENT_ENCODING, "gzip"),
        ],
    ] {
        assert_eq!(
            end_of(move || typed(headers, "data: 2")).await,
            End::Complete
        );
    }
}

#[tokio::test(start_paused = true)]
async fn comments_and_retry_lines_are_no_events() {
    let mut open = answering(|| events(&[":\n\nretry: 1\n\n", "data: 1\n\n:\nretry: 2"]))
        .open("/")
        .await;
    assert_eq!(open.next_event().await.as_deref(), Some("data: 1"));
    assert_eq!(open.next_event().await, None);
    assert_eq!(open.events(), ["data: 1"]);
    assert_eq!(open.ended().await, End::Complete);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_shorter_than_promised_has_failed_unless_it_is_one_to_head() {
    let short = || {
        let pieces = stream::iter([Ok::<_, Infallible>("four")]);
        ([(header::CONTENT_LENGTH, "10")], Body::from_stream(pieces)).into_response()
    };
    assert_eq!(end_of(short).await, failed("it ended after 4 of 10 bytes"));
    let head = Request::head("/").body(Default::default()).unwrap();
    assert_eq!(
        answering(short).send(head).await.ended().await,
        End::Complete
    );
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_of_a_service_are_failures_with_their_words() {
    let broken = || Body::from_stream(stream::iter([Ok("1"), Err("the disk is full")]));
    assert_eq!(
        end_of(move || broken().into_response()).await,
        failed("the disk is full")
    );

    let panics = stream::poll_fn(|_| -> std::task::Poll<Option<Result<&str, Infallible>>> {
        std::panic::resume_unwind(Box::new("the test says so"))
    });
    let panics = std::sync::Mutex::new(Some(Body::from_stream(panics)));
    let panics = std::sync::Arc::new(panics);
    let end = end_of(move || panics.lock().unwrap().take().unwrap().into_response()).await;
    assert_eq!(end, failed("the service panicked"));

    let service = tower::service_fn(|_| async { Err::<Response<Body>, _>("no answer") });
    let test = DrainTest::new(service, DrainHandle::new());
    let open = test.open("/").await;
    assert_eq!(open.ended().await, failed("no answer"));
    assert_eq!(
        open.to_string(),
        "GET /: it is failed: no answer, without an answer"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_request_is_a_client_that_hangs_up() {
    let test = answering(endless);
    let open = test.open("/").await;
    assert_eq!(test.handle().in_flight(), 1);
    drop(open);
    test.handle().begin_shutdown();
    test.until(Phase::Drained).await;
    assert!(format!("{test:?}").contains("open: 0"), "{test:?}");
}

#[tokio::test(start_paused = true)]
async fn http_1_clients_are_told_to_close_from_the_lame_duck_on() {
    let test = answering(|| "hello".into_response());
    assert!(!test.open("/").await.closes_connection());
    test.handle().begin_lame_duck();
    assert!(test.open("/").await.closes_connection());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_end_of_an_endless_stream_fails_and_says_what_came() {
    let test = answering(endless);
    let open = test.open("/prices?secret").await;
    let said = failure(async move { open.ended().await }).await;
    let caller = format!("{}:{}:", file!(), line!() - 1);
    let expected = "GET /prices: its body is open, with status 200 and \"data: tick\" as its last event after 60 s \
                    more; expected an end";
    assert!(said.ends_with(expected), "{said}");
    assert!(said.starts_with(&caller), "{said}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_event_of_a_silent_stream_fails_and_says_so() {
    let silent = || {
        let body = Body::from_stream(stream::pending::<Result<&str, Infallible>>());
        body.into_response()
    };
    let mut open = answering(silent).open("/").await;
    let said = failure(async move { open.next_event().await }).await;
    let expected =
        "its body is open, with status 200 and 0 bytes after 60 s more; expected an event";
    assert!(said.ends_with(expected), "{said}");

    let stuck = || std::future::pending::<()>();
    let test = test(Router::new().route("/", get(stuck)));
    let mut open = test.open("/").await;
    let said = failure(async move { open.next_event().await }).await;
    assert!(
        said.contains("GET /: its handler has not answered after 60 s more"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_by_an_error_that_panics_or_has_no_end_is_told_nevertheless() {
    use crate::contained_support::Ill;

    for ill in Ill::ALL {
        let body = move || stream::once(async move { Err::<Vec<u8>, _>(ill.error()) });
        let end = end_of(move || Body::from_stream(body()).into_response()).await;
        assert_eq!(end, failed(ill.words()), "{ill:?}");
    }
}
