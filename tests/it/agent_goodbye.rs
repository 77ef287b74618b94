//! What a goodbye is, and that nothing else happens to the stream.

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use proptest::prelude::*;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tower_drain::{DrainReason, GoodbyeListener};

fn chunks<T: AsRef<[u8]>>(chunks: &[T]) -> impl Stream<Item = io::Result<Bytes>> + Unpin {
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk.as_ref())))
        .collect();
    stream::iter(chunks)
}

/// Reads to the end; whether a goodbye was in it. The items are the same as without the listener.
fn hears<T: AsRef<[u8]>>(items: &[T]) -> bool {
    let mut listener = spawn(GoodbyeListener::new(chunks(items)));
    let mut goodbye = spawn(listener.goodbye());
    for item in items {
        let passed = assert_ready!(listener.poll_next()).expect("open").unwrap();
        assert_eq!(passed, item.as_ref());
    }
    assert!(assert_ready!(listener.poll_next()).is_none());
    goodbye.poll().is_ready()
}

#[test]
fn an_event_of_that_name_is_a_goodbye_whatever_ends_its_lines() {
    for said in [
        "event: goodbye\ndata: {}\n\n",
        "event: goodbye\r\ndata: {}\r\n\r\n",
        "event: goodbye\rdata: {}\r\r",
        "event:goodbye\ndata: {}\n\n",
        "data: {}\nevent: goodbye\n\n",
        "event: goodbye\n\n",
        "\u{feff}event: goodbye\ndata: {}\n\n",
        "data: 1\n\nevent: goodbye\ndata: 2\n\ndata: 3",
        "event: welcome\nevent: goodbye\ndata\n\n",
        "event: goodbye\r\ndata: {}\n\r",
        ":\u{0}\u{fe}\n\nid: 1\nretry: 5\nevent: goodbye\nevents: 2\nevent2\n: event: x\n\n",
    ] {
        assert!(hears(&[said]), "{said:?}");
        for cut in 0..=said.len() {
            let (head, tail) = said.as_bytes().split_at(cut);
            assert!(hears(&[head, b"", tail]), "{said:?} at {cut}");
        }
        let bytes: Vec<_> = said.bytes().map(|byte| [byte]).collect();
        assert!(hears(&bytes), "{said:?} byte by byte");
    }
}

#[test]
fn nothing_else_is() {
    for other in [
        "",
        "\n\n\n",
        "event: goodbye",
        "event: goodbye\n",
        "event: goodbye\r\n",
        "event: goodbye\ndata: {}\n",
        "event: goodbye\ndata: {}",
        "data: goodbye\n\n",
        "data: event: goodbye\n\n",
        "data: 1\ndata:event: goodbye\n\n",
        "event: goodbye \n\n",
        "event:  goodbye\n\n",
        "event: goodbyes\n\n",
        "event: goodby\n\n",
        "event: good\n\nbye\n\n",
        "event: Goodbye\n\n",
        "Event: goodbye\n\n",
        "event : goodbye\n\n",
        " event: goodbye\n\n",
        "events: goodbye\n\n",
        ": event: goodbye\n\n",
        ":event: goodbye\n\n",
        "event: goodbye\nevent: stay\n\n",
        "event: goodbye\nevent:\n\n",
        "event: goodbye\nevent\n\n",
        "goodbye\n\n",
        "event:\ngoodbye\n\n",
        "event\n: goodbye\n\n",
        "data: 1\n\n\u{feff}event: goodbye\n\n",
        "\u{feff}\u{feff}event: goodbye\n\n",
    ] {
        assert!(!hears(&[other]), "{other:?}");
        let bytes: Vec<_> = other.bytes().map(|byte| [byte]).collect();
        assert!(!hears(&bytes), "{other:?} byte by byte");
    }
    let half_a_mark: [&[u8]; 2] = [b"\xef\xbb\n\nevent: x\n\n", b"\xef\xbbevent: goodbye\n\n"];
    for other in half_a_mark {
        assert!(!hears(&[other]), "{other:?}");
    }
}

#[test]
fn it_is_heard_at_its_last_byte_while_the_stream_is_open() {
    let open = chunks(&["event: goodbye\n", "data: 1\n", "\n"]).chain(stream::pending());
    let mut listener = spawn(GoodbyeListener::new(open));
    let mut goodbye = spawn(listener.goodbye());
    for _ in 0..2 {
        assert_pending!(goodbye.poll());
        assert!(assert_ready!(listener.poll_next()).is_some());
    }
    assert_pending!(goodbye.poll());
    assert!(assert_ready!(listener.poll_next()).is_some());
    assert!(goodbye.is_woken());
    assert_ready_eq!(goodbye.poll(), DrainReason::Goodbye);
    assert_pending!(listener.poll_next());
    // Also for whoever asks late, and after the stream is gone.
    let mut late = spawn(listener.goodbye());
    drop(listener);
    assert_ready_eq!(late.poll(), DrainReason::Goodbye);
}

#[test]
fn an_end_or_an_error_without_a_goodbye_never_resolves_it() {
    let items = [
        Ok(Bytes::from("event: goodbye\n")),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        Ok(Bytes::from("data: 1")),
    ];
    let mut listener = spawn(GoodbyeListener::new(stream::iter(items)));
    let mut goodbye = spawn(listener.goodbye());
    assert!(assert_ready!(listener.poll_next()).expect("open").is_ok());
    let error = assert_ready!(listener.poll_next()).expect("passed on");
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(assert_ready!(listener.poll_next()).expect("open").is_ok());
    assert!(assert_ready!(listener.poll_next()).is_none());
    drop(listener);
    assert_pending!(goodbye.poll());
    assert!(!goodbye.is_woken());
}

#[test]
fn what_nobody_reads_is_not_heard() {
    let listener = GoodbyeListener::new(chunks(&["event: goodbye\n\n"]));
    let mut goodbye = spawn(listener.goodbye());
    assert_pending!(goodbye.poll());
    assert!(format!("{listener:?}").contains("said: false"));
}

#[test]
fn one_goodbye_is_heard_through_every_connection_that_follows_but_not_across_two() {
    let mut first = spawn(GoodbyeListener::new(chunks(&["event: goodbye\n"])));
    let mut goodbye = spawn(first.goodbye());
    assert!(assert_ready!(first.poll_next()).is_some());
    let mut second = spawn(first.reconnected(chunks(&["\n", "event: goodbye\n\n"])));
    assert!(assert_ready!(second.poll_next()).is_some());
    assert_pending!(goodbye.poll());
    drop(first);
    assert!(assert_ready!(second.poll_next()).is_some());
    assert_ready_eq!(goodbye.poll(), DrainReason::Goodbye);
}

#[test]
fn a_line_without_end_costs_no_memory_and_passes_as_it_came() {
    let chunk = Bytes::from(vec![b'x'; 1 << 16]);
    let line = stream::iter((0..1024).map({
        let chunk = chunk.clone();
        move |_| Ok::<_, io::Error>(chunk.clone())
    }));
    let start = chunks(&["event: goodbye\ndata: "]);
    let mut listener = spawn(GoodbyeListener::new(
        start.chain(line).chain(chunks(&["\n\n"])),
    ));
    let mut goodbye = spawn(listener.goodbye());
    assert!(assert_ready!(listener.poll_next()).is_some());
    let size = std::mem::size_of_val(&*listener);
    for _ in 0..1024 {
        let passed = assert_ready!(listener.poll_next()).expect("open").unwrap();
        // The very same bytes, and no copy.
        assert_eq!(passed.as_ptr(), chunk.as_ptr());
    }
    assert!(size < 1024, "{size}");
    assert_pending!(goodbye.poll());
    assert!(assert_ready!(listener.poll_next()).is_some());
    assert_ready!(goodbye.poll());
}

#[test]
fn the_size_of_the_stream_and_its_bytes_may_be_of_any_kind() {
    let items: [Result<&'static [u8], io::Error>; 1] = [Ok(b"event: goodbye\n\n")];
    let mut listener = spawn(GoodbyeListener::new(stream::iter(items)));
    assert_eq!(listener.size_hint(), (1, Some(1)));
    assert!(assert_ready!(listener.poll_next()).is_some());
    assert_ready!(spawn(listener.goodbye()).poll());
}

#[test]
fn the_future_goes_to_other_threads() {
    fn trigger<T: std::future::Future<Output = DrainReason> + Send + Sync + Unpin + 'static>(_: T) {
    }
    trigger(GoodbyeListener::new(()).goodbye());
}

/// Whether a parser of whole events finds an event of the name.
fn parsed(text: &[u8]) -> bool {
    let input = stream::iter([Ok::<_, io::Error>(Bytes::copy_from_slice(text))]);
    let mut events = spawn(sse_stream::SseByteStream::new(input));
    std::iter::from_fn(|| assert_ready!(events.poll_next()))
        .map(|event| event.expect("it is UTF-8"))
        .any(|event| event.event.as_deref() == Some("goodbye"))
}

proptest! {
    #[test]
    fn it_hears_what_a_parser_of_whole_events_finds(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "event", "data", ":", ": ", " ", "goodbye", "good", "bye", "\n", "\r", "\r\n",
                "\n\n", "event: goodbye", "é", "\u{feff}",
            ]),
            0..24,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let text = pieces.concat().into_bytes();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        ends.extend([0, text.len()]);
        ends.sort_unstable();
        let parts: Vec<_> = ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        prop_assert_eq!(hears(&parts), parsed(&text), "{:?}", parts);
    }
}
