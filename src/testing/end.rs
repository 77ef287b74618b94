use std::fmt;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};

use super::events;
use super::exchange::Seen;
use crate::grpc::{self, Grpc};
use crate::{headers, rejection, words, BoxError, CutError};

/// How a request ended, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was answered, and the answer came to its end: by itself, or by a policy, with its goodbye if it has one.
    ///
    /// The answer's status may be any. See [`OpenRequest::status`](super::OpenRequest::status).
    Complete,
    /// The layer rejected it. Behind a `Buffer` outside of the layer, which is no place for one, this shows as
    /// `Complete` with the status of the rejection.
    Rejected,
    /// The layer [cut](crate::DrainHandle::cut) it.
    Cut,
    /// It broke off, for this reason: the service failed or panicked, the body ended in an error of its own, or ended
    /// before what was promised: fewer bytes than its `content-length`, in the middle of a server-sent event, or in
    /// gRPC without a status.
    Failed(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Rejected => f.write_str("rejected"),
            Self::Cut => f.write_str("cut"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl End {
    /// Of a service or a body that ended in an error.
    pub(super) fn by(error: BoxError) -> Self {
        let is_cut = words::chain(&*error).any(|error| error.is::<CutError>());
        let words = words::of_last(error);
        match is_cut {
            true => Self::Cut,
            false => Self::Failed(words),
        }
    }

    /// Of a body that came to an end.
    pub(super) fn of(method: &Method, seen: &Seen) -> Self {
        if seen.is_rejected {
            return Self::Rejected;
        }
        if is_cut(seen) {
            return Self::Cut;
        }
        match missing(method, seen) {
            Some(reason) => Self::Failed(reason),
            None => Self::Complete,
        }
    }
}

fn is_cut(seen: &Seen) -> bool {
    let cancelled = grpc::Status::Cancelled.headers();
    let says_so = |headers: &http::HeaderMap| {
        let mut cancelled = cancelled.iter();
        cancelled.all(|(name, value)| headers.get(name) == Some(value))
    };
    let (status, headers) = (seen.status, &seen.headers);
    let is_answer =
        status == Some(StatusCode::INTERNAL_SERVER_ERROR) && seen.data == rejection::CUT.as_bytes();
    is_answer || says_so(headers) || says_so(&seen.trailers)
}

/// What a client can see to be missing.
fn missing(method: &Method, seen: &Seen) -> Option<String> {
    let Seen { headers, data, .. } = seen;
    let has_body = method != Method::HEAD
        && !matches!(
            seen.status,
            Some(StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        );
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let promised = text(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if let (Some(promised), true) = (promised, has_body) {
        if promised != data.len() {
            let length = data.len();
            return Some(format!("it ended after {length} of {promised} bytes"));
        }
    }
    let has_status = |headers: &http::HeaderMap| headers.contains_key("grpc-status");
    if Grpc::of(headers) == Some(Grpc::Native)
        && !has_status(headers)
        && !has_status(&seen.trailers)
    {
        return Some("it ended without a `grpc-status`".into());
    }
    let is_events = headers::media_type(headers).eq_ignore_ascii_case(b"text/event-stream");
    if is_events && !headers::is_encoded(headers) && events::ends_in_one(data) {
        let (_, rest) = events::all(data);
        let rest = String::from_utf8_lossy(rest);
        return Some(format!("it ended inside the event {rest:?}"));
    }
    None
}
