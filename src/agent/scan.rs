//! Finds one event's name in an event stream, in the words of
//! [HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).

const FIELD: &[u8] = b"event";
const NAME: &[u8] = b"goodbye";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How far an event stream is read. It has this size whatever comes: nothing of the stream is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    /// How much of a byte order mark has been seen; all of it once the stream has begun otherwise.
    bom: usize,
    line: Line,
    after_cr: bool,
    /// The last `event` field of the event that is under way has the name.
    is_named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So much of the field's name, and nothing else.
    Field(usize),
    /// The colon behind it; one space may follow that is not part of the value.
    Colon,
    /// So much of the name.
    Value(usize),
    /// The field has another value.
    OtherValue,
    /// Another field, or a comment.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Field(0)
    }
}

impl Line {
    fn next(self, byte: u8) -> Self {
        match self {
            Self::Field(n) if FIELD.get(n) == Some(&byte) => Self::Field(n + 1),
            Self::Field(n) if n == FIELD.len() && byte == b':' => Self::Colon,
            Self::Field(_) | Self::Other => Self::Other,
            Self::Colon if byte == b' ' => Self::Value(0),
            Self::Colon => Self::Value(0).next(byte),
            Self::Value(n) if NAME.get(n) == Some(&byte) => Self::Value(n + 1),
            Self::Value(_) | Self::OtherValue => Self::OtherValue,
        }
    }
}

impl Scan {
    /// Reads on; `true` if an event of the name ended in `bytes`.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            let after_cr = std::mem::take(&mut self.after_cr);
            rest = behind;
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    if self.ends_line() {
                        return true;
                    }
                }
                _ if self.is_in_bom(byte) => {}
                _ => self.line = self.line.next(byte),
            }
            if matches!(self.line, Line::Other | Line::OtherValue) {
                let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                rest = &rest[end.unwrap_or(rest.len())..];
            }
        }
        false
    }

    /// `true` if an event of the name ended with it.
    fn ends_line(&mut self) -> bool {
        self.bom = BOM.len();
        let line = std::mem::take(&mut self.line);
        match line {
            Line::Field(0) => return std::mem::take(&mut self.is_named),
            Line::Value(n) => self.is_named = n == NAME.len(),
            Line::Field(n) if n == FIELD.len() => self.is_named = false,
            Line::Colon | Line::OtherValue => self.is_named = false,
            Line::Field(_) | Line::Other => {}
        }
        false
    }

    /// Whether `byte` goes on with a byte order mark at the start of the stream.
    fn is_in_bom(&mut self, byte: u8) -> bool {
        if BOM.get(self.bom) == Some(&byte) {
            self.bom += 1;
            return true;
        }
        let seen = std::mem::replace(&mut self.bom, BOM.len());
        if seen > 0 && seen < BOM.len() {
            self.line = Line::Other;
        }
        false
    }
}
