//! Where a body ends whose format says where it may, and one of any other format.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::{service_fn, Layer, ServiceExt};
use tower_drain::DrainLayer;

use crate::streams_support::{ending, frames, serve, Stream, BYE};

#[tokio::test(start_paused = true)]
async fn a_body_that_stays_in_a_message_line_or_record_ends_in_an_error_after_a_second() {
    for (name, part) in [
        ("application/grpc-web", "\0\0"),
        ("application/grpc-web-text", "AAAAAAIo"),
        ("application/grpc-web-text", "no base64"),
        ("application/connect+proto", "\0\0\0\0\x02h"),
        ("application/x-ndjson", "{\"a\":1}\n{"),
        ("application/json-seq", "\x1E{\n"),
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass(part);
        stream.begin();
        let begun = Instant::now();
        assert!(stream.rest().await.is_err(), "{name}");
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_and_records_are_ended_between_two_of_them() {
    for name in [
        "application/x-ndjson",
        "application/ndjson; charset=utf-8",
        "Application/JSONL",
        "application/x-jsonlines",
        "application/json-lines",
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass("{\"a\":1}\n{\"a\"");
        stream.begin();
        stream.waits();
        stream.send(":2}\r\n{\"a\":3}\n");
        assert_eq!(stream.rest().await.unwrap(), b":2}\r\n", "{name}");
    }
    for name in ["application/json-seq", "application/geo+json-seq"] {
        let mut stream = Stream::of(name).await;
        stream.pass("\x1E{\"a\":1}\n\x1E{\n");
        stream.begin();
        stream.waits();
        stream.send("\"a\":2\n}\n\x1E{}\n");
        assert_eq!(stream.rest().await.unwrap(), b"\"a\":2\n}\n", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_next_record_ends_at_once() {
    for (name, whole) in [
        ("application/x-ndjson", "{}\n"),
        ("application/x-ndjson", ""),
        ("application/json-seq", "\x1E{}\n"),
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass(whole);
        stream.begin();
        let begun = Instant::now();
        assert_eq!(stream.rest().await.unwrap(), b"");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_known_place_to_end_ends_where_it_is() {
    for name in [
        "multipart/x-mixed-replace; boundary=b",
        "application/json",
        "text/event-stream-index",
        "application/grpc-webx",
        "application/connect",
        "application/x-ndjsonx",
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass("[1,");
        stream.begin();
        let begun = Instant::now();
        assert_eq!(stream.rest().await.unwrap(), b"", "{name}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{name}");
    }
}

#[tokio::test]
async fn an_encoded_body_is_left_to_its_own_end() {
    for (name, codings) in [
        ("text/event-stream", &["gzip"][..]),
        ("text/event-stream", &["identity", "br"]),
        ("application/x-ndjson", &["identity, zstd"]),
        ("application/grpc-web", &["GZIP"]),
        ("text/plain", &["deflate"]),
    ] {
        let mut stream = Stream::encoded(name, codings).await;
        stream.begin();
        stream.waits();
        stream.pass("more");
        stream.waits();
    }
}

#[tokio::test]
async fn identity_is_no_encoding() {
    for codings in [&["identity"][..], &["Identity", "identity , identity"]] {
        let stream = Stream::encoded("text/event-stream", codings).await;
        stream.begin();
        assert_eq!(stream.rest().await.unwrap(), BYE.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_follows_a_comment_and_a_retry_line_at_once() {
    for idle in [
        ":\n",
        ": ping\r\n",
        "retry: 10000\n",
        "data: 1\n\n:\n",
        "\u{feff}: ping\r",
        "\u{feff}",
    ] {
        let mut stream = Stream::of("text/event-stream").await;
        stream.pass(idle);
        stream.begin();
        let begun = Instant::now();
        assert_eq!(stream.rest().await.unwrap(), BYE.as_bytes(), "{idle:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "{idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_waits_behind_a_part_of_an_event_or_line() {
    for part in [
        "id: 7\n",
        "event: x\n",
        "data\r\n",
        "data: 1\n: ping\n",
        "data: 1\nretry: 1\n",
        "\u{feff}data: 1\n",
    ] {
        let mut stream = Stream::of("Text/Event-Stream").await;
        stream.pass(part);
        stream.begin();
        stream.waits();
        stream.send("\ndata: 2\n");
        let rest = String::from_utf8(stream.rest().await.unwrap()).unwrap();
        assert_eq!(rest, format!("\n{BYE}"), "{part:?}");
    }
    for part in [":", ": pi", "retry: 1", "retry"] {
        let mut stream = Stream::of("text/event-stream").await;
        stream.pass(part);
        stream.begin();
        stream.waits();
        stream.send("\ndata: 2\n");
        let rest = String::from_utf8(stream.rest().await.unwrap()).unwrap();
        assert_eq!(rest, format!("\n{BYE}"), "{part:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_without_a_goodbye_ends_between_two_events_as_well() {
    let layer = DrainLayer::new().stream_policy(|_| tower_drain::StreamPolicy::End);
    let (sender, body) = frames();
    let mut body = spawn(serve(&layer, crate::streams_support::events(body)).await);
    crate::streams_support::send(&sender, "data: 1\n");
    assert!(body.enter(|cx, body| body.poll_frame(cx)).is_ready());
    layer.handle().begin_shutdown();
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
    crate::streams_support::send(&sender, "\ndata: 2\n\n");
    let rest = body.into_inner().collect().await.unwrap();
    assert_eq!(rest.to_bytes(), "\n");
}

/// Bytes whose chunks are a byte each, however they were made.
struct Crumbs(VecDeque<u8>);

impl Buf for Crumbs {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn chunk(&self) -> &[u8] {
        let all = self.0.as_slices().0;
        &all[..all.len().min(1)]
    }

    fn advance(&mut self, count: usize) {
        self.0.drain(..count);
    }
}

impl From<Bytes> for Crumbs {
    fn from(bytes: Bytes) -> Self {
        Self(bytes.into_iter().collect())
    }
}

async fn rest_of_crumbs(body: Vec<&'static str>, begin_behind: usize) -> String {
    let layer = ending();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut frames = Some(stream::unfold(receiver, |mut receiver| async {
        let text: &str = receiver.recv().await?;
        let data = Crumbs::from(Bytes::from(text));
        Some((Ok::<_, Infallible>(Frame::data(data)), receiver))
    }));
    let service = service_fn(move |_: Request<()>| {
        let mut response = Response::new(StreamBody::new(Box::pin(frames.take().unwrap())));
        let value = HeaderValue::from_static("text/event-stream");
        *response.headers_mut() = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let answer = layer.layer(service).oneshot(Request::new(())).await;
    let mut body_of = spawn(answer.unwrap().into_body());
    let mut text = Vec::new();
    for (at, frame) in body.iter().enumerate() {
        if at == begin_behind {
            layer.handle().begin_shutdown();
            assert_pending!(body_of.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
        }
        sender.send(*frame).unwrap();
        let frame = assert_ready!(body_of.enter(|cx, body| body.poll_frame(cx)));
        let mut data = frame.unwrap().unwrap().into_data().ok().unwrap();
        text.extend(data.copy_to_bytes(data.remaining()));
    }
    layer.handle().begin_shutdown();
    text.extend(body_of.into_inner().collect().await.unwrap().to_bytes());
    String::from_utf8(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn data_in_several_chunks_is_read_to_its_end() {
    assert_eq!(
        rest_of_crumbs(vec!["data: 1\n\n"], 1).await,
        format!("data: 1\n\n{BYE}")
    );
    assert_eq!(
        rest_of_crumbs(vec!["data: 1\n", "data: 2\n\ndata: 3\n"], 1).await,
        format!("data: 1\ndata: 2\n\n{BYE}")
    );
}
