//! What gRPC expects instead of HTTP's words: a status in the headers of an answer without a body, or in trailers.

use http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE};
use http::Response;

const GRPC: &[u8] = b"application/grpc";
const WEB: &[u8] = b"application/grpc-web";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

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
            Self::Unavailable => ("14", "the service is shutting down"),
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
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        // A constant would be built anew, and dropped, at every look-up.
        static NAME: HeaderName = CONTENT_TYPE;
        if headers.is_empty() {
            return None;
        }
        let value = headers.get(&NAME)?.as_bytes();
        let starts_with = |prefix: &[u8]| {
            value
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        match starts_with(GRPC) {
            true if starts_with(WEB) => Some(Self::Web),
            true => Some(Self::Native),
            false => None,
        }
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
