//! Streams of messages with their length before them: where they end, and with which last message.

use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tokio_test::assert_ready;

use crate::streams_support::Stream;

fn message(flags: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], data].concat()
}

/// The only message of `bytes`, which has these flags.
fn only_message(bytes: &[u8], flags: u8) -> String {
    let text = String::from_utf8(bytes[5..].to_vec()).unwrap();
    assert_eq!(bytes, message(flags, text.as_bytes()));
    text
}

fn assert_says_unavailable(trailers: &str) {
    let lines: Vec<_> = trailers.split_terminator("\r\n").collect();
    assert!(lines.contains(&"grpc-status: 14"), "{trailers:?}");
    assert!(lines.iter().any(|line| line.starts_with("grpc-message: ")));
    assert!(trailers.ends_with("\r\n") && !trailers.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn a_grpc_web_stream_ends_in_a_frame_of_trailers_that_say_unavailable() {
    for name in ["application/grpc-web", "Application/gRPC-Web+proto; v=1"] {
        let mut stream = Stream::of(name).await;
        stream.pass(message(0, b"hi"));
        stream.begin();
        assert_says_unavailable(&only_message(&stream.rest().await.unwrap(), 0x80));
    }
}

#[tokio::test]
async fn a_grpc_web_text_stream_ends_in_trailers_in_base64() {
    for name in [
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass(BASE64_STANDARD.encode(message(0, b"hi")));
        stream.begin();
        let rest = BASE64_STANDARD
            .decode(stream.rest().await.unwrap())
            .unwrap();
        assert_says_unavailable(&only_message(&rest, 0x80));
    }
}

#[tokio::test]
async fn a_connect_stream_ends_in_an_end_stream_response_that_says_unavailable() {
    for name in ["application/connect+proto", "application/Connect+JSON"] {
        let mut stream = Stream::of(name).await;
        stream.pass(message(1, b"zipped"));
        stream.begin();
        let last = only_message(&stream.rest().await.unwrap(), 0x02);
        let last: serde_json::Value = serde_json::from_str(&last).unwrap();
        assert_eq!(last["error"]["code"], "unavailable");
        assert!(last["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn a_stream_that_has_its_last_message_gets_no_second_one() {
    for (name, last) in [
        ("application/grpc-web", message(0x80, b"grpc-status: 0\r\n")),
        ("application/connect+json", message(2, b"{}")),
    ] {
        let mut stream = Stream::of(name).await;
        stream.pass(last);
        stream.begin();
        assert_eq!(stream.rest().await.unwrap(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_messages_ends_between_two_of_them() {
    for (name, flags) in [
        ("application/grpc-web", 0x80),
        ("application/connect+json", 0x02),
    ] {
        for cut in 1..7 {
            let hi = message(0, b"hi");
            let mut stream = Stream::of(name).await;
            stream.pass(&hi[..cut]);
            stream.begin();
            stream.waits();
            stream.send([&hi[cut..], &hi].concat());
            let rest = stream.rest().await.unwrap();
            assert_eq!(rest[..7 - cut], hi[cut..], "the next one is left out");
            only_message(&rest[7 - cut..], flags);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_messages_in_base64_ends_between_two_of_them() {
    let hi = BASE64_STANDARD.encode(message(0, b"hi"));
    for cut in 1..hi.len() {
        let mut stream = Stream::of("application/grpc-web-text").await;
        stream.pass(&hi[..cut]);
        stream.begin();
        stream.waits();
        stream.send([&hi[cut..], &hi].concat());
        let rest = stream.rest().await.unwrap();
        let (message, last) = rest.split_at(hi.len() - cut);
        assert_eq!(message, &hi.as_bytes()[cut..]);
        let last = BASE64_STANDARD.decode(last).unwrap();
        assert_says_unavailable(&only_message(&last, 0x80));
    }
}

#[tokio::test(start_paused = true)]
async fn a_native_grpc_stream_gets_its_trailers_between_two_messages() {
    let hi = message(0, b"hi");
    let mut stream = Stream::grpc().await;
    stream.pass(&hi[..6]);
    stream.begin();
    stream.waits();
    stream.send([&hi[6..], &hi].concat());
    let rest = stream.body.into_inner().collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "14");
    assert_eq!(rest.to_bytes(), hi[6..]);
}

#[tokio::test(start_paused = true)]
async fn the_trailers_of_a_shortened_grpc_stream_come_although_a_resume_came_first() {
    let hi = message(0, b"hi");
    let mut stream = Stream::grpc().await;
    stream.pass(&hi[..6]);
    stream.begin();
    stream.waits();
    stream.send([&hi[6..], &hi].concat());
    let frame = assert_ready!(stream.body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), hi[6..]);
    let handle = stream.layer.handle();
    handle.resume(handle.nonce().unwrap()).unwrap();
    assert!(!stream.body.is_end_stream());
    let trailers = stream.body.into_inner().collect().await.unwrap();
    assert_eq!(trailers.trailers().unwrap()["grpc-status"], "14");
}

#[tokio::test(start_paused = true)]
async fn a_native_grpc_stream_that_stays_in_a_message_gets_its_trailers_after_a_second() {
    let mut stream = Stream::grpc().await;
    stream.pass(b"\0\0\0\0\x02h");
    stream.begin();
    let begun = Instant::now();
    let rest = stream.body.into_inner().collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "14");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}
