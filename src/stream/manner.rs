use http::response::Parts;

use super::frames::Frames;
use super::policy::Kind;
use super::records::{JsonSequence, Lines};
use super::{Goodbye, StreamConfig};
use crate::body::End;
use crate::headers;
use crate::sse::EventStream;

/// Types of one record a line.
const LINES: [&str; 9] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/x-json-lines",
    "text/x-ndjson",
];

/// How a body ends, and as much of where it is as that takes.
#[derive(Debug)]
pub(super) enum Manner {
    /// In an error, wherever it is.
    Broken,
    /// Wherever it is: where its format has an end is not known.
    Anywhere,
    Events {
        place: EventStream,
        /// In place of the layer's.
        own: Option<Box<Goodbye>>,
    },
    Lines(Lines),
    Sequence(JsonSequence),
    Frames(Frames),
}

impl Manner {
    /// `None` if the body must come to its own end.
    pub(super) fn of(kind: Kind, response: &Parts) -> Option<Self> {
        let headers = &response.headers;
        match kind {
            Kind::Broken => return Some(Self::Broken),
            // Where the last word of an encoding would be, only its encoder knows.
            Kind::Clean if headers::is_encoded(headers) => return None,
            Kind::Clean => {}
        }
        if let Some(frames) = Frames::of(headers) {
            return Some(Self::Frames(frames));
        }
        let media_type = headers::media_type(headers).to_ascii_lowercase();
        let is = |name: &str| media_type == name.as_bytes();
        Some(match () {
            () if is("text/event-stream") => Self::Events {
                place: EventStream::START,
                own: response.extensions.get().cloned().map(Box::new),
            },
            () if LINES.into_iter().any(is) => Self::Lines(Lines::START),
            // RFC 8091 has the suffix.
            () if is("application/json-seq") || media_type.ends_with(b"+json-seq") => {
                Self::Sequence(JsonSequence::START)
            }
            () => Self::Anywhere,
        })
    }

    pub(super) fn needs_a_boundary(&self) -> bool {
        !matches!(self, Self::Broken | Self::Anywhere)
    }

    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        match self {
            Self::Broken | Self::Anywhere => {}
            Self::Events { place, .. } => place.pass(bytes),
            Self::Lines(lines) => lines.pass(bytes),
            Self::Sequence(sequence) => sequence.pass(bytes),
            Self::Frames(frames) => frames.pass(bytes),
        }
    }

    /// Whether it may end here.
    pub(super) fn is_between(&self) -> bool {
        match self {
            Self::Broken | Self::Anywhere => true,
            Self::Events { place, .. } => place.is_between(),
            Self::Lines(lines) => lines.is_between,
            Self::Sequence(sequence) => sequence.is_between(),
            Self::Frames(frames) => frames.is_between(),
        }
    }

    /// How many of `bytes` come before the first place where it may end.
    pub(super) fn end_in(&self, bytes: &[u8]) -> Option<usize> {
        let first = |is_between: &mut dyn FnMut(&[u8]) -> bool| {
            let at = bytes.chunks(1).position(is_between)?;
            Some(at + 1)
        };
        match self {
            Self::Broken | Self::Anywhere => None,
            Self::Events { place, .. } => place.end_in(bytes),
            Self::Lines(_) => first(&mut |byte| byte == b"\n"),
            &Self::Sequence(mut sequence) => first(&mut |byte| {
                sequence.pass(byte);
                sequence.is_between()
            }),
            &Self::Frames(mut frames) => first(&mut |byte| {
                frames.pass(byte);
                frames.is_between()
            }),
        }
    }

    /// Its end where it may end.
    pub(super) fn end(&self, config: &StreamConfig) -> End {
        match self {
            Self::Broken => End::Broken,
            Self::Anywhere | Self::Lines(_) | Self::Sequence(_) => End::Clean(None),
            Self::Events { own, .. } => {
                let goodbye = own.as_deref().or(config.goodbye.as_ref());
                End::Clean(goodbye.map(|goodbye| goodbye.bytes(config.spread)))
            }
            Self::Frames(frames) => End::Clean(frames.last_message()),
        }
    }

    /// Its end where it may not, which a client must be able to tell. A client of an event stream drops an event that
    /// is not whole, and asks for what comes after the last one that was.
    pub(super) fn forced_end(&self) -> End {
        match self {
            Self::Events { .. } => End::Clean(None),
            _ => End::Broken,
        }
    }
}
