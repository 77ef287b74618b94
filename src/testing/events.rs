//! Server-sent events, as far as they are told apart, in the words of
//! [HTML, section 9.2.5](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).

/// The first event of `data` and how many bytes it is up to there, comments left out; `None` if none is finished.
pub(super) fn first(data: &[u8]) -> Option<(String, usize)> {
    let mut event = Vec::new();
    let mut at = 0;
    while let Some(length) = data[at..].iter().position(|byte| b"\r\n".contains(byte)) {
        let line = &data[at..at + length];
        at += length;
        at += match &data[at..] {
            [b'\r', b'\n', ..] => 2,
            _ => 1,
        };
        match line {
            [] if event.is_empty() => {}
            [] => return Some((event.join("\n"), at)),
            [b':', ..] => {}
            line => event.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
    None
}

/// All that are finished, and what is left.
pub(super) fn all(mut data: &[u8]) -> (Vec<String>, &[u8]) {
    let mut events = Vec::new();
    while let Some((event, length)) = first(data) {
        events.push(event);
        data = &data[length..];
    }
    (events, data)
}

/// Whether `rest`, in which no event is finished, has begun one.
pub(super) fn has_begun(rest: &[u8]) -> bool {
    let mut lines = rest.split(|byte| b"\r\n".contains(byte));
    lines.any(|line| !matches!(line, [] | [b':', ..]))
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
        assert!(has_begun(rest));
    }

    #[test]
    fn comments_are_no_events_and_begin_none() {
        let (events, rest) = all(b": ping\n\n:\ndata: 1\n: ping\n\n: ping\n");
        assert_eq!(events, ["data: 1"]);
        assert!(!has_begun(rest));
    }
}
