//! What gRPC expects instead of HTTP's words: a status in the headers of an answer without a body, or in trailers.

use http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE};
use http::Response;

use crate::headers::{after, content_type, essence};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What clients are told of a drain.
pub(crate) const UNAVAILABLE: &str = "the service is shutting down";

/// A status of the [gRPC specification](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    Cancelled,
    Unavailable,
}

impl Status {
    pub(crate) fn headers(self) -> HeaderMap {
        let (code, message) = match self {
            Self::Cancelled => ("1", "the service did not wait for this call any longer"),
            Self::Unavailable => ("14", UNAVAILABLE),
        };
        HeaderMap::from_iter([
            (STATUS, HeaderValue::from_static(code)),
            (MESSAGE, HeaderValue::from_static(message)),
        ])
    }
}

/// Which gRPC a request or response speaks, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grpc {
    Native,
    /// Has its trailers inside the body.
    Web,
}

impl Grpc {
    /// Its [name](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests) may have a suffix, such as
    /// `+proto`; so may that of [gRPC-Web](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md), `-text` as well.
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let suffix = essence(after(content_type(headers), "application/grpc")?);
        let (grpc, suffix) = match after(suffix, "-web") {
            Some(suffix) => (Self::Web, after(suffix, "-text").unwrap_or(suffix)),
            None => (Self::Native, suffix),
        };
        matches!(suffix, [] | [b'+', ..]).then_some(grpc)
    }

    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web",
        })
    }
}

/// HTTP 200 with a status in the headers and no body ("Trailers-Only").
pub(crate) fn answer<B: Default>(content_type: HeaderValue, status: Status) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.headers_mut() = status.headers();
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
