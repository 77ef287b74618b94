//! Whatever the bytes of a stream, wherever they are cut, and whenever a resume comes, its goodbye is whole and last.

use std::task::Poll;

use bytes::Bytes;
use http_body::{Body, Frame};
use proptest::prelude::*;
use tokio_test::task;

use crate::streams_support::{ending, events, frames, rest, serve};

#[derive(Debug, PartialEq, Eq)]
struct Event(Vec<String>);

/// A reader of event streams after the standard's text, comments and `retry` left out; `None` if bytes are left that are
/// no whole event.
fn parse(text: &str) -> Option<Vec<Event>> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut lines = Vec::new();
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        match line {
            "" if lines.is_empty() => {}
            "" => events.push(Event(std::mem::take(&mut lines))),
            line if line.starts_with(':') || line.starts_with("retry:") => {}
            line => lines.push(line.to_owned()),
        }
    }
    (rest.is_empty() && lines.is_empty()).then_some(events)
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]
}

/// Whole events with line ends of every kind, a third kind of line end after another included.
fn event_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z]{1,6}: [a-z]{0,8}",
        "(id|event|data):? ?[a-z]{0,3}",
        "(retry)?: ?[a-z0-9]{0,3}",
    ];
    let line = (line, line_end()).prop_map(|(line, end)| line + end);
    let event = (proptest::collection::vec(line, 1..4), line_end());
    proptest::collection::vec(event.prop_map(|(lines, end)| lines.concat() + end), 1..6)
        .prop_map(|events| events.concat())
        // A CR and an LF that meet are one line end.
        .prop_filter("ends in the middle of an event", |text| {
            parse(text).is_some()
        })
}

proptest! {
    #[test]
    fn whatever_the_frames_and_resumes_the_goodbye_is_the_last_event_and_all_others_are_whole(
        text in event_text(),
        cuts in proptest::collection::vec(0usize..200, 0..8),
        before in 0usize..9,
        resumed in 0usize..9,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let sent = runtime.block_on(async {
            let layer = ending();
            let (sender, body) = frames();
            let mut body = task::spawn(serve(&layer, events(body)).await);
            let mut sent = String::new();
            for (at, piece) in pieces.iter().enumerate() {
                if at == before {
                    layer.handle().begin_shutdown();
                }
                if let (true, Some(nonce)) = (at == resumed, layer.handle().nonce()) {
                    layer.handle().resume(nonce).unwrap();
                }
                // Refused where the stream has ended already.
                let _ = sender.send(Frame::data(Bytes::copy_from_slice(piece.as_bytes())));
                if let Poll::Ready(Some(frame)) = body.enter(|cx, body| body.poll_frame(cx)) {
                    sent += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
                }
            }
            layer.handle().begin_shutdown();
            sent + &rest(body.into_inner()).await
        });
        // Whatever ends the last line before it, an LF after a goodbye's CR would be a line of its own.
        let mut events = parse(&sent).expect("whole events");
        prop_assert_eq!(events.pop(), Some(Event(vec!["event: goodbye".into(), "data: bye".into()])));
        let whole = parse(&text).unwrap();
        prop_assert!(whole.starts_with(&events), "{:?} of {:?}", events, whole);
    }
}
