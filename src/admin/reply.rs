//! What the services answer.

use std::convert::Infallible;
use std::future::{ready, Ready};

use bytes::Bytes;
use http::header::{
    HeaderName, HeaderValue, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::connection::Peer;
use crate::{DrainHandle, Phase};

pub(super) type Reply = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Of what is only read.
pub(super) const ALLOWED: &str = "GET, HEAD";

/// Why a request is not answered with what it wants. Nothing has changed.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    header: Option<(HeaderName, &'static str)>,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            header: None,
            error: error.into(),
            phase: None,
        }
    }

    /// 409, with the phase that is in the way.
    pub(super) fn conflict(phase: Phase, error: impl Into<String>) -> Self {
        Self {
            phase: Some(phase),
            ..Self::new(StatusCode::CONFLICT, error)
        }
    }

    pub(super) fn unauthorized() -> Self {
        let error = "this needs `authorization: Bearer` and the administration token";
        Self {
            header: Some((WWW_AUTHENTICATE, "Bearer")),
            ..Self::new(StatusCode::UNAUTHORIZED, error)
        }
    }

    pub(super) fn method(method: &Method, allowed: &'static str) -> Self {
        let error = format!("{method} is not allowed here: use {allowed}");
        Self {
            header: Some((ALLOW, allowed)),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, error)
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let mut reply = json(self.status, self);
        if let Some((name, value)) = &self.header {
            let value = HeaderValue::from_static(value);
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    reply(status, TEXT, text.into())
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(value).expect("strings, numbers and lists of them");
    text.push(b'\n');
    reply(status, JSON, text.into())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// What of a request an answer depends on after its body was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    peer: Peer,
    is_head: bool,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            peer: Peer::of(request),
            is_head: request.method() == Method::HEAD,
        }
    }

    /// The answer as it is sent: without a body to HEAD, and from the lame duck on with `connection: close`, which the
    /// layer would add if the service stood behind it.
    pub(super) fn finished(self, handle: &DrainHandle, mut reply: Reply) -> Reply {
        if self.is_head {
            let body = std::mem::take(reply.body_mut());
            let len = http_body::Body::size_hint(&body).lower();
            reply.headers_mut().insert(CONTENT_LENGTH, len.into());
        }
        let (mut head, body) = reply.into_parts();
        if handle.phase() > Phase::Serving {
            self.peer.close(&mut head);
        }
        Reply::from_parts(head, body)
    }
}

/// What `answer` says to GET and HEAD.
pub(super) fn get<B>(
    handle: &DrainHandle,
    request: &Request<B>,
    answer: impl FnOnce() -> Reply,
) -> Ready<Result<Reply, Infallible>> {
    #[allow(unused_mut)]
    let mut reply = match *request.method() {
        Method::GET | Method::HEAD => answer(),
        ref other => Refusal::method(other, ALLOWED).reply(),
    };
    #[cfg(feature = "shutdown")]
    reply.extensions_mut().insert(crate::front::Probe);
    ready(Ok(Asked::of(request).finished(handle, reply)))
}
