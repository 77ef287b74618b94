//! Base64 ([RFC 4648, section 4](https://www.rfc-editor.org/rfc/rfc4648#section-4)), byte by byte. Padding may come at the
//! end of any group, as in the text form of gRPC-Web.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Where in a group of four characters a text is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base64 {
    at: At,
    /// The bits that belong to the next byte.
    bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    First,
    Second,
    Third,
    Fourth,
    /// One more padding character is to come.
    Padding,
    /// In what is no base64.
    Lost,
}

impl Base64 {
    pub(super) const START: Self = Self {
        at: At::First,
        bits: 0,
    };

    /// The byte that is whole with this character.
    pub(super) fn next(&mut self, character: u8) -> Option<u8> {
        let bits = value(character);
        let (at, byte) = match (self.at, bits) {
            (At::First, Some(_)) => (At::Second, None),
            (At::Second, Some(bits)) => (At::Third, Some(self.bits << 2 | bits >> 4)),
            (At::Third, Some(bits)) => (At::Fourth, Some(self.bits << 4 | bits >> 2)),
            (At::Fourth, Some(bits)) => (At::First, Some(self.bits << 6 | bits)),
            (At::Third, None) if character == b'=' => (At::Padding, None),
            (At::Fourth | At::Padding, None) if character == b'=' => (At::First, None),
            _ => (At::Lost, None),
        };
        *self = Self {
            at,
            bits: bits.unwrap_or_default(),
        };
        byte
    }

    pub(super) fn is_between(self) -> bool {
        self.at == At::First
    }
}

fn value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            text.push(match at as usize > group.len() {
                true => '=',
                false => char::from(ALPHABET[index]),
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_written_and_read() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            let mut base64 = Base64::START;
            let read: Vec<u8> = text.bytes().filter_map(|c| base64.next(c)).collect();
            assert_eq!(read, bytes.as_bytes());
            assert!(base64.is_between());
        }
    }

    #[test]
    fn bytes_of_every_value_are_read_as_they_were_written() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut base64 = Base64::START;
        let text = encode(&bytes);
        let read: Vec<u8> = text.bytes().filter_map(|c| base64.next(c)).collect();
        assert_eq!(read, bytes);
    }
}
