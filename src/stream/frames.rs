//! Formats of messages with their length before them, each with a word of its own for an end that is an error.

use bytes::Bytes;
use http::HeaderMap;

use super::base64::{self, Base64};
use crate::grpc::{self, Grpc, UNAVAILABLE};
use crate::headers::{after, media_type};

/// A byte of flags and four of length.
const HEADER: u8 = 5;

/// Where a body is whose messages have their length before them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    /// What is to come of a message whose header is there, or the part of its length that is.
    left: u32,
    /// How much of the header is there.
    header: u8,
    /// Whether the last message has begun.
    is_last: bool,
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// Its last word is in trailers.
    Grpc,
    /// [Trailers in the body](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).
    Web,
    /// The same in base64.
    WebText(Base64),
    /// [EndStreamResponse](https://connectrpc.com/docs/protocol/#error-end-stream).
    Connect,
}

impl Protocol {
    /// The flag of the last message.
    const fn last(self) -> u8 {
        match self {
            Self::Grpc => 0,
            Self::Web | Self::WebText(_) => 0x80,
            Self::Connect => 0x02,
        }
    }
}

impl Frames {
    /// `None` if the body is of another format.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let name = media_type(headers);
        let protocol = match Grpc::of(headers) {
            Some(Grpc::Native) => Protocol::Grpc,
            Some(Grpc::Web) => match after(name, "application/grpc-web-text") {
                Some(_) => Protocol::WebText(Base64::START),
                None => Protocol::Web,
            },
            None => after(name, "application/connect+").map(|_| Protocol::Connect)?,
        };
        Some(Self {
            left: 0,
            header: 0,
            is_last: false,
            protocol,
        })
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let Protocol::WebText(mut base64) = self.protocol else {
            return self.pass_binary(bytes);
        };
        for &byte in bytes {
            if let Some(byte) = base64.next(byte) {
                self.pass_binary(&[byte]);
            }
        }
        self.protocol = Protocol::WebText(base64);
    }

    fn pass_binary(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.header < HEADER {
                match self.header {
                    0 => self.is_last |= first & self.protocol.last() != 0,
                    _ => self.left = self.left << 8 | u32::from(*first),
                }
                self.header += 1;
                bytes = rest;
            } else {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let passed = left.min(bytes.len());
                self.left -= passed as u32;
                bytes = &bytes[passed..];
            }
            if self.header == HEADER && self.left == 0 {
                self.header = 0;
            }
        }
    }

    pub(super) fn is_between(self) -> bool {
        self.header == 0
            && match self.protocol {
                Protocol::WebText(base64) => base64.is_between(),
                _ => true,
            }
    }

    /// The last message, which says that the service is unavailable. `None` if the body has one, or none of its own.
    pub(super) fn last_message(self) -> Option<Bytes> {
        if self.is_last {
            return None;
        }
        let message = match self.protocol {
            Protocol::Grpc => return None,
            Protocol::Web | Protocol::WebText(_) => trailers(),
            Protocol::Connect => {
                format!(r#"{{"error":{{"code":"unavailable","message":"{UNAVAILABLE}"}}}}"#)
            }
        };
        let mut frame = vec![self.protocol.last()];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message.into_bytes());
        Some(match self.protocol {
            Protocol::WebText(_) => base64::encode(&frame).into(),
            _ => frame.into(),
        })
    }
}

/// Written as those of HTTP/1.
fn trailers() -> String {
    let headers = grpc::Status::Unavailable.headers();
    let lines = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {value}\r\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(content_type: &'static str) -> Option<Frames> {
        let value = http::HeaderValue::from_static(content_type);
        Frames::of(&HeaderMap::from_iter([(http::header::CONTENT_TYPE, value)]))
    }

    /// Where in `bytes` it is between two messages.
    fn between(content_type: &'static str, bytes: &[u8]) -> Vec<usize> {
        let places = (0..=bytes.len()).filter(|&end| {
            let (mut at_once, mut bytewise) =
                (frames(content_type).unwrap(), frames(content_type).unwrap());
            at_once.pass(&bytes[..end]);
            bytes[..end].iter().for_each(|&byte| bytewise.pass(&[byte]));
            assert_eq!(at_once.is_between(), bytewise.is_between());
            at_once.is_between()
        });
        places.collect()
    }

    #[test]
    fn messages_are_told_apart_by_their_length() {
        let bytes = b"\0\0\0\0\x02hi\x01\0\0\0\0\0\0\0\x01\0";
        for content_type in [
            "application/grpc",
            "application/grpc-web+proto",
            "application/connect+json",
        ] {
            assert_eq!(between(content_type, bytes), [0, 7, 12]);
        }
        let long = [&b"\0\0\x01\0\0"[..], &[0; 65_536]].concat();
        let mut frames = frames("application/grpc").unwrap();
        frames.pass(&long[..65_540]);
        assert!(!frames.is_between());
        frames.pass(&long[65_540..]);
        assert!(frames.is_between());
    }

    #[test]
    fn messages_in_base64_end_where_its_groups_of_four_do_too() {
        // One that is padded, as each may be, and two that share a group.
        let text = [
            base64::encode(b"\0\0\0\0\x02hi"),
            base64::encode(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ]
        .concat();
        let between = between("application/grpc-web-text", text.as_bytes());
        assert_eq!(between, [0, 12, 32]);
    }

    #[test]
    fn what_is_no_base64_is_never_between_two_messages() {
        for text in ["AAAA\n", "AAA-", "A=", "AA=A"] {
            let mut frames = frames("application/grpc-web-text").unwrap();
            frames.pass(text.as_bytes());
            frames.pass(b"AAAAAAAAAAAAAAAAAAAA");
            assert!(!frames.is_between(), "{text:?}");
        }
    }

    #[test]
    fn a_media_type_is_one_of_them_by_its_whole_name() {
        for name in [
            "application/grpc",
            "Application/gRPC+proto; charset=utf-8",
            "application/grpc-web",
            "application/grpc-web-text+proto",
            "application/connect+proto",
        ] {
            assert!(frames(name).is_some(), "{name}");
        }
        for name in [
            "application/grpcx",
            "application/grpc-webx",
            "application/grpc-other",
            "application/connect",
            "application/connectx+json",
            "application/proto",
        ] {
            assert!(frames(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_body_that_has_its_last_message_gets_no_second_one() {
        for (content_type, last) in [
            ("application/grpc-web", b"\x80\0\0\0\0"),
            ("application/connect+json", b"\x02\0\0\0\0"),
        ] {
            let mut frames = frames(content_type).unwrap();
            frames.pass(b"\0\0\0\0\0");
            assert!(frames.last_message().is_some());
            frames.pass(last);
            assert!(frames.is_between() && frames.last_message().is_none());
        }
    }
}
