//! Where a stream of server-sent events is, by the grammar of
//! [HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).

const LF: u8 = b'\n';
const CR: u8 = b'\r';
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const RETRY: &[u8] = b"retry";

/// What is known of an event stream after some of its bytes: enough to tell whether an event is under way.
///
/// A comment and `retry` are no part of an event. Every other line puts one under way, until an empty line ends it; so
/// does one whose field the standard does not know, because a client may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventStream {
    line: Line,
    is_under_way: bool,
    /// Whether an LF belongs to the line end before it.
    is_after_cr: bool,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// The stream has not begun.
    First,
    /// None of the line is there.
    Start,
    /// So many bytes of the mark that may come before everything else.
    Mark(u8),
    /// So many bytes of `retry`.
    Retry(u8),
    /// The rest of the line no longer matters.
    Rest,
}

impl EventStream {
    pub(crate) const START: Self = Self {
        line: Line::First,
        is_under_way: false,
        is_after_cr: false,
    };

    /// Behind the empty line that ends in this byte.
    pub(crate) const fn behind(last: u8) -> Self {
        Self {
            line: Line::Start,
            is_under_way: false,
            is_after_cr: last == CR,
        }
    }

    /// Goes on with what comes next.
    #[inline]
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        // Nothing before the last empty line matters, and most frames end in one.
        if let Some(at) = bytes.windows(2).rposition(ends_empty_line) {
            *self = Self::behind(bytes[at + 1]);
            rest = &bytes[at + 2..];
        }
        rest.iter().for_each(|&byte| self.next(byte));
    }

    pub(crate) fn next(&mut self, byte: u8) {
        let is_after_cr = std::mem::replace(&mut self.is_after_cr, byte == CR);
        let line = match (self.line, byte) {
            (line, LF) if is_after_cr => line,
            (Line::First | Line::Start, LF | CR) => {
                self.is_under_way = false;
                Line::Start
            }
            (Line::Rest, LF | CR) => Line::Start,
            (Line::Retry(len), LF | CR) if usize::from(len) == RETRY.len() => Line::Start,
            (Line::Mark(_) | Line::Retry(_), LF | CR) => {
                self.is_under_way = true;
                Line::Start
            }
            (Line::First | Line::Start, b':') | (Line::Rest, _) => Line::Rest,
            (Line::First, 0xEF) => Line::Mark(1),
            (Line::First | Line::Start, b'r') => Line::Retry(1),
            (Line::Mark(2), 0xBF) => Line::Start,
            (Line::Mark(len), _) if BYTE_ORDER_MARK[usize::from(len)] == byte => {
                Line::Mark(len + 1)
            }
            (Line::Retry(len), _) if RETRY.get(usize::from(len)) == Some(&byte) => {
                Line::Retry(len + 1)
            }
            (Line::Retry(len), b':') if usize::from(len) == RETRY.len() => Line::Rest,
            _ => {
                self.is_under_way = true;
                Line::Rest
            }
        };
        self.line = line;
    }

    /// Whether a client has, or may be about to get, a part of an event.
    #[cfg(feature = "testing")]
    pub(crate) const fn is_in_event(self) -> bool {
        self.is_under_way
    }

    /// Whether something may be put here without becoming a part of what was there.
    pub(crate) const fn is_between(self) -> bool {
        matches!(self.line, Line::First | Line::Start) && !self.is_under_way
    }

    /// How many of `bytes` belong to the event or line that is under way, if it ends in them.
    pub(crate) fn end_in(mut self, bytes: &[u8]) -> Option<usize> {
        let at = bytes.iter().position(|&byte| {
            self.next(byte);
            self.is_between()
        })?;
        let is_crlf = bytes[at..].starts_with(b"\r\n");
        Some(at + 1 + usize::from(is_crlf))
    }
}

/// Whether the second of two bytes ends an empty line, whatever is before them.
fn ends_empty_line(pair: &[u8]) -> bool {
    matches!(pair, [LF | CR, CR] | [LF, LF])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(frames: &[&str]) -> EventStream {
        let mut stream = EventStream::START;
        for frame in frames {
            stream.pass(frame.as_bytes());
        }
        stream
    }

    const BETWEEN: [&str; 22] = [
        "",
        "\n",
        "\r\n",
        "data: 1\n\n",
        "data: 1\r\r",
        "data: 1\r\n\r\n",
        "data: 1\n\r",
        "data: 1\n\r\n",
        "data: 1\r\n\n",
        "data: 1\r\r\n",
        ":\n\n\n",
        ":\n",
        ": ping\r",
        ":\r\n: data: 1\r\n",
        "retry: 10000\n",
        "retry\r\n",
        "retry:\n: ping\n",
        "data: 1\n\n:\n",
        "id\n\nretry: 1\n",
        "\u{feff}",
        "\u{feff}: ping\n",
        "\u{feff}data: 1\r\n\r\n",
    ];

    const NOT_BETWEEN: [&str; 21] = [
        "d",
        ":",
        "retry: 1",
        "data: 1",
        "data: 1\n",
        "data: 1\r",
        "data: 1\r\n",
        "\n\ndata: 1\r\n",
        "data\n",
        "id: 7\n",
        "event: x\n",
        "data: 1\n: ping\n",
        "data: 1\nretry: 1\n",
        ": ping\ndata: 1\n",
        "retr\n",
        "retry2: 1\n",
        " retry: 1\n",
        "Retry: 1\n",
        "\u{feff}data: 1\n",
        "\u{feff}\u{feff}: ping\n",
        "\n\u{feff}: ping\n",
    ];

    #[test]
    fn comments_and_retry_are_no_part_of_an_event_and_an_empty_line_ends_it() {
        for text in BETWEEN {
            assert!(after(&[text]).is_between(), "{text:?}");
        }
        for text in NOT_BETWEEN {
            assert!(!after(&[text]).is_between(), "{text:?}");
        }
    }

    #[test]
    fn frames_may_end_anywhere() {
        for text in BETWEEN.iter().chain(&NOT_BETWEEN) {
            let mut bytewise = EventStream::START;
            for &byte in text.as_bytes() {
                bytewise.pass(&[byte]);
            }
            assert_eq!(
                bytewise.is_between(),
                after(&[text]).is_between(),
                "{text:?}"
            );
            for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
                let (head, tail) = text.split_at(cut);
                let cut = after(&[head, "", tail]).is_between();
                assert_eq!(cut, after(&[text]).is_between(), "{head:?} {tail:?}");
            }
        }
    }

    #[test]
    fn the_rest_of_an_event_is_told_from_the_next() {
        let mut stream = EventStream::START;
        stream.pass(b"data: 1");
        assert_eq!(stream.end_in(b"2\n\ndata: 3"), Some(3));
        assert_eq!(stream.end_in(b"\r\n\r\ndata: 3"), Some(4));
        assert_eq!(stream.end_in(b"2\ndata: 3\n"), None);
    }
}
