//! `connection: close` from the lame duck on, so that kept-alive clients look for another server.

use http::header::{HeaderMap, HeaderValue, CONNECTION};
use http::response::Parts;
use http::{Method, Request, Response, StatusCode, Version};

use crate::headers;

/// What of the request decides whether its answer may close the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    version: Version,
    is_connect: bool,
}

impl Peer {
    #[inline]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            version: request.version(),
            is_connect: *request.method() == Method::CONNECT,
        }
    }

    /// Never on a 101 or a 2xx to CONNECT, whose connection is no longer HTTP's, and never on HTTP/2, where the header
    /// is a connection error (RFC 9113, section 8.2.2).
    #[cold]
    pub(crate) fn close(self, response: &mut Parts) {
        if self.version >= Version::HTTP_2 || self.tunnels(response.status) {
            return;
        }
        // hyper replaces the header of an answer with HTTP/1.1 to a kept-alive client of HTTP/1.0 by `keep-alive`.
        if self.version <= Version::HTTP_10 {
            response.version = Version::HTTP_10;
        }
        if !says_close(&response.headers) {
            let close = HeaderValue::from_static("close");
            response.headers.append(CONNECTION, close);
        }
    }

    /// Returns whether the connection is no longer HTTP's after such a response.
    pub(crate) fn tunnels(self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success()
    }

    #[cfg(feature = "server")]
    pub(crate) fn version(self) -> Version {
        self.version
    }

    /// [`close`](Self::close) for an answer that is not the handler's.
    pub(crate) fn closed<B>(self, response: Response<B>) -> Response<B> {
        let (mut parts, body) = response.into_parts();
        self.close(&mut parts);
        Response::from_parts(parts, body)
    }
}

/// Whether one of the options is `close`, in any case (RFC 9110, section 7.6.1).
pub(crate) fn says_close(headers: &HeaderMap) -> bool {
    headers::list(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"close"))
}
