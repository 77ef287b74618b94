//! Server-sent events, as far as they are told apart.

use crate::sse::EventStream;

/// The first event of `data` from this byte on, comments left out, and where it ends; `None` if none is finished.
pub(super) fn first(data: &[u8], from: usize) -> Option<(String, usize)> {
    let mut stream = match from {
        0 => EventStream::START,
        _ => EventStream::behind(data[from - 1]),
    };
    let mut bytes = data.iter().skip(from);
    let begun = bytes.position(|&byte| {
        stream.next(byte);
        stream.is_in_event()
    })?;
    let begun = from + begun + 1;
    let end = begun + stream.end_in(&data[begun..])?;
    Some((text(&data[from..end]), end))
}

/// The lines of the last of these blocks, which is an event.
fn text(blocks: &[u8]) -> String {
    let blocks = String::from_utf8_lossy(blocks);
    let blocks = blocks.replace("\r\n", "\n").replace('\r', "\n");
    let blocks = blocks.trim_start_matches('\u{feff}').trim_matches('\n');
    let event = blocks.rsplit("\n\n").next().unwrap_or_default();
    let lines = event.split('\n').filter(|line| !line.starts_with(':'));
    lines.collect::<Vec<_>>().join("\n")
}

/// All that are finished, and what is left.
pub(super) fn all(data: &[u8]) -> (Vec<String>, &[u8]) {
    let mut events = Vec::new();
    let mut from = 0;
    while let Some((event, end)) = first(data, from) {
        events.push(event);
        from = end;
    }
    (events, &data[from..])
}

/// Whether `data` ends inside of an event.
pub(super) fn ends_in_one(data: &[u8]) -> bool {
    let mut stream = EventStream::START;
    stream.pass(data);
    stream.is_in_event()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_end_at_an_empty_line_of_any_line_end() {
        let data = b"data: 1\n\nid: 2\r\ndata: 2\r\n\r\n\r\rdata: 3\r\rdata: 4\n";
        let (events, rest) = all(data);
        assert_eq!(events, ["data: 1", "id: 2\ndata: 2", "data: 3"]);
        assert_eq!(rest, b"data: 4\n");
        assert!(ends_in_one(data));
    }

    #[test]
    fn comments_and_retry_are_no_events_and_begin_none() {
        let data =
            b"\xEF\xBB\xBF: ping\n\nretry: 1\n\n:\ndata: 1\n: ping\nretry: 2\n\n: ping\nretry: 3";
        let (events, rest) = all(data);
        assert_eq!(events, ["data: 1\nretry: 2"]);
        assert_eq!(rest, b": ping\nretry: 3");
        assert!(!ends_in_one(data));
    }
}
