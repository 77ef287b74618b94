//! Where an event of an event stream ends, in the words of
//! [HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation):
//! at the end of an empty line, and a line ends in LF, CR or CRLF.

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// The last three bytes of a stream, which are enough to tell whether an empty line has just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boundary([u8; 3]);

impl Boundary {
    /// Nothing has been sent, which is as good as an empty line.
    pub(crate) const fn start() -> Self {
        Self([LF; 3])
    }

    /// Goes on with what comes next.
    #[inline]
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let [_, before, last] = self.0;
        self.0 = match *bytes {
            [.., a, b, c] => [a, b, c],
            [b, c] => [last, b, c],
            [c] => [before, last, c],
            [] => self.0,
        };
    }

    pub(crate) fn is_between_events(self) -> bool {
        match self.0 {
            [before, CR, LF] => is_end(before),
            [_, before, LF | CR] => is_end(before),
            _ => false,
        }
    }

    /// How much of `bytes` belongs to the event that is under way, if it ends in them.
    pub(crate) fn first_end_in(mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.pass(&[byte]);
            if self.is_between_events() {
                // The LF of a CRLF that a frame splits belongs to the line end before it.
                let is_split = byte == CR && bytes.get(at + 1) == Some(&LF);
                return Some(at + 1 + usize::from(is_split));
            }
        }
        None
    }
}

fn is_end(byte: u8) -> bool {
    byte == LF || byte == CR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(frames: &[&str]) -> bool {
        let mut boundary = Boundary::start();
        for frame in frames {
            boundary.pass(frame.as_bytes());
        }
        boundary.is_between_events()
    }

    #[test]
    fn an_empty_line_ends_an_event_whatever_ends_its_lines() {
        for ended in [
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
        ] {
            assert!(after(&[ended]), "{ended:?}");
        }
    }

    #[test]
    fn one_line_end_does_not_end_an_event() {
        for open in [
            "d",
            "data: 1",
            "data: 1\n",
            "data: 1\r",
            "data: 1\r\n",
            "\n\ndata: 1\r\n",
        ] {
            assert!(!after(&[open]), "{open:?}");
        }
    }

    #[test]
    fn frames_may_end_anywhere() {
        for text in [
            "data: 1\r\n\r\n",
            "data: 1\n\n",
            "id: 2\rdata\r\r",
            "data: 1\r\n",
        ] {
            for cut in 0..=text.len() {
                let (head, tail) = text.split_at(cut);
                assert_eq!(
                    after(&[head, "", tail]),
                    after(&[text]),
                    "{head:?} {tail:?}"
                );
            }
        }
    }

    #[test]
    fn the_rest_of_an_event_is_told_from_the_next() {
        let mut boundary = Boundary::start();
        boundary.pass(b"data: 1");
        assert_eq!(boundary.first_end_in(b"2\n\ndata: 3"), Some(3));
        assert_eq!(boundary.first_end_in(b"\r\n\r\ndata: 3"), Some(4));
        assert_eq!(boundary.first_end_in(b"2\ndata: 3\n"), None);
    }
}
