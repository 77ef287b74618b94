//! Formats whose records have an end of their own.

/// One record a line, such as [NDJSON](https://github.com/ndjson/ndjson-spec).
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) is_between: bool,
}

impl Lines {
    pub(super) const START: Self = Self { is_between: true };

    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        if let Some(&last) = bytes.last() {
            self.is_between = last == b'\n';
        }
    }
}

/// JSON texts, each between a record separator and a line feed
/// ([RFC 7464](https://www.rfc-editor.org/rfc/rfc7464#section-2.2)). A text may have line feeds inside of it as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonSequence {
    depth: u32,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Between,
    /// Behind the separator.
    Begun,
    Text,
    String,
    Escape,
}

impl JsonSequence {
    pub(super) const START: Self = Self {
        depth: 0,
        part: Part::Between,
    };

    pub(super) fn pass(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.next(byte));
    }

    fn next(&mut self, byte: u8) {
        const SEPARATOR: u8 = 0x1E;
        self.part = match (self.part, byte) {
            (_, SEPARATOR) => {
                self.depth = 0;
                Part::Begun
            }
            (Part::Escape, _) => Part::String,
            (Part::String, b'\\') => Part::Escape,
            (Part::String, b'"') => Part::Text,
            (Part::String, _) => Part::String,
            (Part::Between | Part::Begun, b' ' | b'\t' | b'\r' | b'\n') => self.part,
            (_, b'\n') if self.depth == 0 => Part::Between,
            (_, b'"') => Part::String,
            (_, b'{' | b'[') => {
                self.depth = self.depth.saturating_add(1);
                Part::Text
            }
            (_, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                Part::Text
            }
            _ => Part::Text,
        };
    }

    pub(super) fn is_between(self) -> bool {
        self.part == Part::Between
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_between(text: &str) -> bool {
        let mut sequence = JsonSequence::START;
        sequence.pass(text.as_bytes());
        sequence.is_between()
    }

    #[test]
    fn a_json_text_of_a_sequence_ends_at_its_last_line_feed() {
        for between in [
            "",
            "\x1E1\n",
            "\x1E{\"a\":[1]}\n",
            "\x1E{\n\"a\": \"}\\\"\"\n}\n",
            "\x1E\n[]\n\n",
            "\x1E{\"cut\": [\x1E2\n",
        ] {
            assert!(is_between(between), "{between:?}");
        }
        for inside in [
            "\x1E",
            "\x1E\n",
            "\x1E1",
            "\x1E{\n",
            "\x1E{\"a\": \"}\n",
            "\x1E\"\\\"\n",
            "\x1E1\n\x1E",
        ] {
            assert!(!is_between(inside), "{inside:?}");
        }
    }
}
