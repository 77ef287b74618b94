//! Stream policies and goodbyes, frame by frame.

use std::time::Duration;

use crate::streams_support::{
    ending, events, frames, rest, send, serve, serve_to, waiting, Frames, BYE,
};
use crate::support::{panics, unwind};
use bytes::Bytes;
use futures_util::{stream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower_drain::{DrainHandle, DrainLayer, DrainStreamExt, Goodbye, Phase, StreamPolicy};

#[tokio::test]
async fn a_silent_stream_is_woken_by_the_begin_and_says_goodbye() {
    let layer = ending();
    let (_sender, body) = frames();
    let mut body = task::spawn(serve(&layer, events(body)).await);
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    layer.handle().begin_lame_duck();
    assert!(!body.is_woken());
    layer.handle().begin_shutdown();
    assert!(body.is_woken());
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)))
        .unwrap()
        .unwrap();
    assert_eq!(frame.into_data().unwrap(), BYE);
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_none());
    assert!(body.is_end_stream());
    drop(body);
    assert_eq!(layer.handle().phase(), Phase::Drained);
}

#[tokio::test]
async fn a_stream_whose_handler_waited_is_woken_by_the_begin_too() {
    let layer = ending();
    let (_sender, body) = frames();
    let (answer, mut call) = waiting(&layer);
    answer.send(events(body)).ok().unwrap();
    let body = assert_ready!(call.poll()).unwrap().into_body();
    let mut body = task::spawn(body);
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    layer.handle().begin_shutdown();
    assert!(body.is_woken());
}

#[tokio::test]
async fn a_stream_with_the_policy_wait_goes_on() {
    let layer = DrainLayer::new().goodbye(Goodbye::event("goodbye"));
    let (sender, body) = frames();
    let body = serve(&layer, events(body)).await;
    layer.handle().begin_shutdown();
    send(&sender, "data: 1\n\n");
    drop(sender);
    assert_eq!(rest(body).await, "data: 1\n\n");
}

#[tokio::test]
async fn the_policy_sees_the_request_and_the_response() {
    let layer = DrainLayer::new().stream_policy(|head| {
        assert_eq!(
            (head.method().as_str(), head.uri().path()),
            ("GET", "/events")
        );
        assert_eq!(
            (head.status().as_u16(), head.version()),
            (200, http::Version::HTTP_11)
        );
        assert!(head.headers().contains_key(CONTENT_TYPE) && head.extensions().is_empty());
        StreamPolicy::End
    });
    let (_sender, body) = frames();
    let request = Request::get("/events").body(()).unwrap();
    let body = serve_to(&layer, request, events(body)).await.into_body();
    layer.handle().begin_shutdown();
    assert_eq!(rest(body).await, "");
}

#[tokio::test]
async fn a_policy_that_panics_leaves_nothing_behind() {
    let layer = DrainLayer::new().stream_policy(|_| unwind());
    let handle = layer.handle();
    let (answer, mut call) = waiting(&layer);
    assert_eq!(handle.stragglers().len(), 1);
    answer.send(events(frames().1)).ok().unwrap();
    assert!(panics(|| call.poll()));
    drop(call);
    assert_eq!((handle.stragglers().len(), handle.in_flight()), (0, 0));
}

#[tokio::test]
async fn policy_and_goodbye_of_a_response_win() {
    let layer = DrainLayer::new().goodbye(Goodbye::event("goodbye"));
    let (_sender, body) = frames();
    let mut response = events(body);
    response.extensions_mut().insert(StreamPolicy::End);
    response
        .extensions_mut()
        .insert(Goodbye::raw("data: [DONE]\n\n"));
    let ended = serve(&layer, response).await;

    let layer = DrainLayer::from_handle(layer.handle()).stream_policy(|_| StreamPolicy::End);
    let (sender, body) = frames();
    let mut response = events(body);
    response.extensions_mut().insert(StreamPolicy::Wait);
    let waits = serve(&layer, response).await;

    layer.handle().begin_shutdown();
    send(&sender, "data: 1\n\n");
    drop(sender);
    assert_eq!(rest(ended).await, "data: [DONE]\n\n");
    assert_eq!(rest(waits).await, "data: 1\n\n");
}

#[tokio::test(start_paused = true)]
async fn end_after_counts_from_the_begin_and_not_from_the_next_poll() {
    let layer = DrainLayer::new()
        .stream_policy(|_| StreamPolicy::EndAfter(Duration::from_secs(10)))
        .goodbye(Goodbye::raw("bye\n\n"));
    let (_sender, body) = frames();
    let body = serve(&layer, events(body)).await;
    let begun = Instant::now();
    layer.handle().begin_shutdown();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rest(body).await, "bye\n\n");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_resume_disarms_end_after_and_the_next_begin_arms_it_anew() {
    let policy = StreamPolicy::EndAfter(Duration::from_secs(10));
    let layer = DrainLayer::new().stream_policy(move |_| policy);
    let handle = layer.handle();
    let (_sender, body) = frames();
    let mut body = task::spawn(serve(&layer, events(body)).await);
    handle.begin_shutdown();
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    handle.resume(handle.nonce().unwrap()).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    handle.begin_shutdown();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(body.is_woken());
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_waits_for_the_end_of_the_event_and_leaves_the_next_one_out() {
    let layer = ending();
    let (sender, body) = frames();
    let mut body = task::spawn(serve(&layer, events(body)).await);
    send(&sender, "data: 1\n");
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "data: 1\n");
    layer.handle().begin_shutdown();
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    send(&sender, "data: 2\n\ndata: 3\n");
    let text = rest(body.into_inner()).await;
    assert_eq!(text, format!("data: 2\n\n{BYE}"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_in_mid_event_ends_after_a_second_without_goodbye() {
    let layer = ending();
    let (sender, body) = frames();
    let body = serve(&layer, events(body)).await;
    send(&sender, "data: 1");
    let mut body = task::spawn(body);
    assert_ready!(body.enter(|cx, body| body.poll_frame(cx)))
        .unwrap()
        .unwrap();
    layer.handle().begin_shutdown();
    let begun = Instant::now();
    assert_eq!(rest(body.into_inner()).await, "");
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn nothing_is_added_after_a_body_that_ended_by_itself() {
    let layer = ending();
    let (sender, body) = frames();
    let body = serve(&layer, events(body)).await;
    send(&sender, "data: 1\n\n");
    drop(sender);
    let mut body = task::spawn(body);
    assert_ready!(body.enter(|cx, body| body.poll_frame(cx)))
        .unwrap()
        .unwrap();
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_none());
    layer.handle().begin_shutdown();
    assert!(assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).is_none());
}

#[tokio::test]
async fn only_an_event_stream_gets_the_goodbye() {
    let layer = ending();
    let (_sender, body) = frames();
    let body = serve(&layer, Response::new(body)).await;
    layer.handle().begin_shutdown();
    assert_eq!(rest(body).await, "");
}

#[tokio::test]
async fn a_body_of_known_length_is_never_ended_early() {
    let layer = ending();
    let (sender, body) = frames();
    let mut response = events(body);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(9));
    let by_header = serve(&layer, response).await;
    let full: Frames = Box::pin(Full::new(Bytes::from("data: 1\n\n")));
    let by_size = serve(&layer, events(full)).await;
    layer.handle().begin_shutdown();
    send(&sender, "data: 1\n\n");
    drop(sender);
    assert_eq!(rest(by_header).await, "data: 1\n\n");
    assert_eq!(rest(by_size).await, "data: 1\n\n");
}

#[tokio::test]
async fn a_grpc_stream_ends_in_trailers_that_say_unavailable() {
    let layer = ending();
    let (_sender, body) = frames();
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc.clone());
    let request = Request::post("/")
        .header(CONTENT_TYPE, grpc)
        .body(())
        .unwrap();
    let body = serve_to(&layer, request, response).await.into_body();
    layer.handle().begin_shutdown();
    let trailers = body.collect().await.unwrap().trailers().cloned().unwrap();
    assert_eq!(trailers["grpc-status"], "14");
}

#[tokio::test(start_paused = true)]
async fn spread_ends_a_thousand_streams_over_its_window() {
    let layer = ending().spread(Duration::from_secs(10));
    let mut bodies = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..1_000 {
        let (sender, body) = frames();
        senders.push(sender);
        bodies.push(serve(&layer, events(body)).await);
    }
    layer.handle().begin_shutdown();
    let begun = Instant::now();
    let ended: Vec<u64> = stream::iter(bodies)
        .map(|body| async move {
            assert_eq!(rest(body).await, BYE);
            begun.elapsed().as_secs()
        })
        .buffer_unordered(1_000)
        .collect()
        .await;
    for second in 0..10 {
        let count = ended.iter().filter(|&&at| at == second).count();
        // One in ten of a thousand, and six standard deviations of room.
        assert!((43..157).contains(&count), "{count} in second {second}");
    }
    drop(senders);
}

#[tokio::test]
async fn a_cut_beats_a_policy() {
    let layer = ending();
    let (_sender, body) = frames();
    let body = serve(&layer, events(body)).await;
    layer.handle().begin_shutdown();
    layer.handle().cut();
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn any_stream_ends_on_drain_although_a_resume_came_first() {
    let handle = DrainHandle::new();
    let mut ends = task::spawn(stream::pending::<u8>().end_on_drain(&handle));
    let mut says = task::spawn(stream::pending().goodbye_on_drain(&handle, 7));
    assert_pending!(ends.poll_next());
    assert_pending!(says.poll_next());
    handle.begin_shutdown();
    handle.resume(handle.nonce().unwrap()).unwrap();
    assert!(ends.is_woken() && says.is_woken());
    assert_eq!(assert_ready!(ends.poll_next()), None);
    assert_eq!(assert_ready!(ends.poll_next()), None);
    assert_eq!(assert_ready!(says.poll_next()), Some(7));
    assert_eq!(assert_ready!(says.poll_next()), None);
}

#[tokio::test]
async fn a_stream_that_ends_by_itself_says_no_goodbye() {
    let handle = DrainHandle::new();
    let mut says = task::spawn(stream::iter([1]).goodbye_on_drain(&handle, 7));
    assert_eq!(assert_ready!(says.poll_next()), Some(1));
    assert_eq!(assert_ready!(says.poll_next()), None);
    handle.begin_shutdown();
    assert_eq!(assert_ready!(says.poll_next()), None);
}
