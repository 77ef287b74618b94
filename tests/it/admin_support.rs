//! Asking the services, without a server.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::HeaderMap;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Service, ServiceExt};
use tower_drain::{Admin, DrainHandle, DrainNonce};

pub(crate) const TOKEN: &str = "a-token/of+some~length==";

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.body.last(), Some(&b'\n'), "for terminals");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// What was wrong, by a refusal.
    pub(crate) fn error(&self) -> String {
        assert!(self.status.is_client_error(), "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store");
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// The nonce of the drain that was begun.
    pub(crate) fn nonce(&self) -> DrainNonce {
        assert_eq!(self.status, 200, "{self:?}");
        DrainNonce::from_u64(self.json()["nonce"].as_u64().unwrap())
    }
}

pub(crate) async fn ask<S, B, R>(service: &S, request: Request<B>) -> Said
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Said {
        status: head.status,
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

/// The answer of a service that has to wait for nothing; no runtime is needed for it.
#[track_caller]
pub(crate) fn said<S, B, R>(service: &S, request: Request<B>) -> Said
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    ask(service, request)
        .now_or_never()
        .expect("nothing to wait for")
}

pub(crate) fn admin(handle: &DrainHandle) -> Admin {
    Admin::new(handle.clone(), TOKEN).unwrap()
}

/// A request with the token.
pub(crate) fn order(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    order(Method::POST, path, body)
}

pub(crate) fn plain(method: &str, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(())
        .unwrap()
}

pub(crate) fn ready(nonce: impl std::fmt::Display) -> Request<Full<Bytes>> {
    post("/ready", format!("{{\"nonce\":{nonce}}}"))
}
