//! What a resume takes back of a stream's end, and what not.

use std::time::Duration;

use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{sleep, Instant};
use tokio_test::task::{spawn, Spawn};
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{DrainHandle, DrainLayer, Goodbye, ResponseBody, StreamPolicy};

use crate::streams_support::{ending, events, frames, rest, send, serve, Frames, BYE};
use crate::support::{App, Script};

const SECOND: Duration = Duration::from_secs(1);

fn resume(handle: &DrainHandle) {
    handle.resume(handle.nonce().unwrap()).unwrap();
}

fn next(body: &mut Spawn<ResponseBody<Frames>>) -> String {
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    let data = frame.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

fn wait(body: &mut Spawn<ResponseBody<Frames>>) {
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
}

#[tokio::test(start_paused = true)]
async fn a_shortened_frame_is_followed_by_the_end_although_a_resume_came_first() {
    let layer = ending();
    let (sender, body) = frames();
    let mut body = spawn(serve(&layer, events(body)).await);
    send(&sender, "data: 1");
    assert_eq!(next(&mut body), "data: 1");
    layer.handle().begin_shutdown();
    wait(&mut body);
    send(&sender, "\n\ndata: 2\n\ndata: th");
    assert_eq!(next(&mut body), "\n\n");
    resume(&layer.handle());
    send(&sender, "ree\n\n");
    assert!(!body.is_end_stream());
    assert_eq!(rest(body.into_inner()).await, BYE);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_ends_where_the_stream_may_is_not_shortened_and_a_resume_takes_the_end_back() {
    let layer = ending();
    let (sender, body) = frames();
    let mut body = spawn(serve(&layer, events(body)).await);
    send(&sender, "data: 1");
    assert_eq!(next(&mut body), "data: 1");
    layer.handle().begin_shutdown();
    wait(&mut body);
    send(&sender, "\n\n");
    assert_eq!(next(&mut body), "\n\n");
    resume(&layer.handle());
    send(&sender, "data: 2\n\n");
    drop(sender);
    assert_eq!(rest(body.into_inner()).await, "data: 2\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_last_frame_that_is_shortened_is_followed_by_the_goodbye() {
    let layer = ending().stream_policy(|_| StreamPolicy::End);
    let mut app = App::of(layer);
    let script = Script::new();
    let (mut opened, call) = app.open(crate::support::get("/"));
    let mut response = http::Response::new(script.body());
    let value = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", value);
    call.respond(response);
    let mut body = spawn(crate::support::answer(&mut opened).into_body());
    script.data("data: 1\n");
    assert!(body.enter(|cx, body| body.poll_frame(cx)).is_ready());
    app.handle.begin_shutdown();
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
    // The body says that nothing comes after it, which is not all of it here.
    script.data("\ndata: 2\n\n").says_end().close();
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "\n");
    assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
    let last = body.into_inner().collect().await.unwrap().to_bytes();
    assert_eq!(last, BYE);
}

#[tokio::test(start_paused = true)]
async fn end_after_counts_anew_in_a_second_drain_before_whose_begin_the_stream_was_silent() {
    let layer = DrainLayer::new()
        .stream_policy(|_| StreamPolicy::EndAfter(10 * SECOND))
        .goodbye(Goodbye::raw("data: bye\n\n"));
    let handle = layer.handle();
    let (_sender, body) = frames();
    let mut body = spawn(serve(&layer, events(body)).await);
    handle.begin_shutdown();
    wait(&mut body);
    sleep(8 * SECOND).await;
    resume(&handle);
    sleep(SECOND).await;
    handle.begin_shutdown();
    let begun = Instant::now();
    assert!(body.is_woken());
    wait(&mut body);
    assert_eq!(rest(body.into_inner()).await, "data: bye\n\n");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_patience_in_the_middle_of_an_event_is_a_second_in_a_second_drain_too() {
    let layer = ending();
    let handle = layer.handle();
    let (sender, body) = frames();
    let mut body = spawn(serve(&layer, events(body)).await);
    send(&sender, "data: 1");
    assert_eq!(next(&mut body), "data: 1");
    handle.begin_shutdown();
    wait(&mut body);
    sleep(SECOND * 9 / 10).await;
    resume(&handle);
    handle.begin_shutdown();
    wait(&mut body);
    sleep(SECOND * 8 / 10).await;
    wait(&mut body);
    send(&sender, "\n\n");
    assert_eq!(rest(body.into_inner()).await, format!("\n\n{BYE}"));
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_is_spread_over_its_own_window() {
    let layer = ending().spread(100 * SECOND);
    let handle = layer.handle();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let (sender, body) = frames();
        let mut body = spawn(serve(&layer, events(body)).await);
        handle.begin_shutdown();
        wait(&mut body);
        resume(&handle);
        streams.push((sender, body));
    }
    sleep(100 * SECOND).await;
    handle.begin_shutdown();
    let ended = streams.iter_mut().filter_map(|(_, body)| {
        let polled = body.enter(|cx, body| body.poll_frame(cx));
        polled.is_ready().then_some(())
    });
    assert_eq!(ended.count(), 0, "no part of the window has passed");
}

#[tokio::test(start_paused = true)]
async fn a_cut_beats_the_goodbye_of_a_shortened_frame() {
    let layer = ending();
    let (sender, body) = frames();
    let mut body = spawn(serve(&layer, events(body)).await);
    send(&sender, "data: 1");
    assert_eq!(next(&mut body), "data: 1");
    layer.handle().begin_shutdown();
    wait(&mut body);
    send(&sender, "\n\ndata: 2\n\n");
    assert_eq!(next(&mut body), "\n\n");
    assert_eq!(layer.handle().cut(), 1);
    assert!(body.into_inner().collect().await.is_err());
}
