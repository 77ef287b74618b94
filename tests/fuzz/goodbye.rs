//! Event streams of any bytes in any frames, and a drain that begins between two of them: what comes out is a part of
//! the stream that ends between two events, and the goodbye; or all of it, where no event ends within 1 s.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream::poll_fn;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio_test::task;
use tower::{service_fn, Layer, ServiceExt};
use tower_drain::{DrainLayer, Goodbye, StreamPolicy};

const GOODBYE: &[u8] = b"event: goodbye\ndata: bye\n\n";

/// The first byte says before which frame the drain begins; a byte 0xff ends a frame, which text in UTF-8 never has.
pub(crate) fn fuzz(input: &[u8]) {
    let Some((&moment, stream)) = input.split_first() else {
        return;
    };
    let frames: Vec<&[u8]> = stream.split(|&byte| byte == 0xff).collect();
    let moment = usize::from(moment) % (frames.len() + 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    let sent = runtime.block_on(send(&frames, moment));
    judge(&frames.concat(), frames[..moment].concat().len(), &sent);
}

/// What the layer makes of the frames. Each is asked for before the next is there.
async fn send(frames: &[&[u8]], moment: usize) -> Vec<u8> {
    let layer = DrainLayer::new()
        .stream_policy(|_| StreamPolicy::End)
        .goodbye(Goodbye::event("goodbye").data("bye"));
    let handle = layer.handle();
    // No channel: tokio's take a turn off after so many frames.
    let waiting = Arc::new(Mutex::new(None));
    let queue = waiting.clone();
    let mut answer = Some(poll_fn(move |_| {
        let mut queue = queue.lock().expect("nobody panics with it");
        match Option::<Bytes>::take(&mut queue) {
            Some(data) => Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(data)))),
            None => Poll::Pending,
        }
    }));
    let service = service_fn(move |_: Request<()>| {
        let body = StreamBody::new(answer.take().expect("one request"));
        let response = Response::builder().header("content-type", "text/event-stream");
        std::future::ready(response.body(body))
    });
    let answered = layer.layer(service).oneshot(Request::new(())).await;
    let mut body = task::spawn(answered.expect("an answer").into_body());
    let mut sent = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        if at == moment {
            handle.begin_shutdown();
        }
        // Nobody takes it where the stream has ended.
        *waiting.lock().expect("nobody panics with it") = Some(Bytes::copy_from_slice(frame));
        if let Poll::Ready(Some(frame)) = body.enter(|cx, body| body.poll_frame(cx)) {
            let frame = frame.expect("no cut");
            sent.extend_from_slice(&frame.into_data().expect("data"));
        }
    }
    handle.begin_shutdown();
    let rest = body.into_inner().collect().await.expect("a clean end");
    sent.extend_from_slice(&rest.to_bytes());
    assert_eq!(handle.in_flight(), 0);
    sent
}

/// `before` bytes were sent before the drain began.
fn judge(stream: &[u8], before: usize, sent: &[u8]) {
    let part = sent.strip_suffix(GOODBYE).unwrap_or(sent);
    let first_end = (before..=stream.len()).find(|&end| is_between_events(&stream[..end]));
    let Some(first_end) = first_end else {
        assert_eq!(sent, stream, "no event ends, so all of it comes");
        return;
    };
    assert!(sent.ends_with(GOODBYE), "no goodbye");
    // The LF of a CRLF may belong to it or not: either way it is the end of the same line.
    let is_first = part == &stream[..first_end];
    let is_with_lf = stream[..first_end].ends_with(b"\r")
        && stream.get(first_end) == Some(&b'\n')
        && part == &stream[..=first_end];
    assert!(is_first || is_with_lf, "it ended elsewhere");
}

/// A second reading of the standard, of a whole stream at once: line ends are made alike, and behind the last empty line
/// there is nothing but whole lines that are comments or `retry`.
fn is_between_events(stream: &[u8]) -> bool {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte == b'\r' {
            bytes.next_if(|&&next| next == b'\n');
        }
        match byte {
            b'\r' | b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("there is one").push(byte),
        }
    }
    let unfinished = lines.pop().expect("there is one");
    let mut last = lines
        .rsplit(|line| line.is_empty())
        .next()
        .into_iter()
        .flatten();
    let is_nothing = |line: &Vec<u8>| {
        matches!(line[..], [b':', ..]) || line.split(|&byte| byte == b':').next() == Some(b"retry")
    };
    unfinished.is_empty() && last.all(is_nothing)
}
