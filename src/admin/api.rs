use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::auth::{Auth, TokenError};
use super::body;
use super::cross_site;
use super::orders::{DrainOrder, ReadyOrder};
use super::reply::{self, Asked, Refusal, Reply};
use crate::{BoxError, DrainHandle, RequestHead, StatusService};

/// Drains by hand, over HTTP: a service with the routes `GET /drain-status`, `POST /drain` and `POST /ready`.
///
/// It belongs on an address that only operators reach, on a server of its own that outlives the drain:
///
/// ```no_run
/// # #[cfg(feature = "shutdown")]
/// # mod example {
/// use axum::{routing::get, Router};
/// use tower_drain::{Admin, BoxError, DrainLayer, Shutdown, ShutdownReport};
///
/// # pub
/// async fn run() -> Result<ShutdownReport, BoxError> {
///     let layer = DrainLayer::new();
///     let handle = layer.handle();
///     let shutdown = Shutdown::new(handle.clone());
///     let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
///
///     let admin = Admin::new(handle, std::env::var("ADMIN_TOKEN")?)?;
///     let inside = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
///     let operators = Router::new().fallback_service(admin);
///     let public = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
///     shutdown
///         .beside(|until_exit| axum::serve(inside, operators).with_graceful_shutdown(until_exit))
///         .run(|stop| axum::serve(public, app).with_graceful_shutdown(stop))
///         .await
/// }
/// # }
/// ```
///
/// In a router with other routes: `.nest_service("/admin", admin)` for `/admin/drain` and so on, or
/// `.route_service("/drain", admin.clone())` for each path.
///
/// Judged by something else than a token, and with the list of who holds the drain:
///
/// ```
/// use tower_drain::{Admin, DrainHandle, RequestHead};
///
/// #[derive(Clone)]
/// struct Operator; // put into the extensions by a middleware that has looked at a certificate
///
/// let handle = DrainHandle::new();
/// let admin = Admin::with_auth(handle, |head: &RequestHead<'_>| {
///     head.extensions().get::<Operator>().is_some()
/// })
/// .detailed();
/// ```
///
/// # `GET /drain-status`
///
/// What [`StatusService`] answers.
///
/// # `POST /drain`
///
/// ```json
/// { "reason": "a deploy", "ttl_s": 600, "then": "stay" }
/// ```
///
/// Begins a lame duck and answers `{"nonce":5178254360917353}`. Every field may be left out or null, and so may the
/// body.
///
/// - `reason` is told in status, log and report. No control characters.
/// - `ttl_s`: after so many seconds the drain lifts itself, from 0.001 to 31536000, a year; 900 if it is left out
///   ([`DEFAULT_TTL`](crate::DEFAULT_TTL)). What is to stay for ever begins with
///   [`begin_lame_duck_because`](DrainHandle::begin_lame_duck_because), in code.
/// - `then` is `stay` unless it is `exit`: [seal](DrainHandle::seal) the drain and
///   [end the process](DrainHandle::request_exit) by its `Shutdown`. That is final, and has no time to live whatever
///   `ttl_s` says. Where no `Shutdown` runs the process stays, as a lame duck for good. Without the feature `shutdown`
///   it is a 400.
///
/// While a drain is on, `stay` is a 409 with the `phase`, and does not prolong it: the nonce belongs to whoever began
/// it. Whoever lost the answer waits until the drain lifts itself. `exit` joins the drain that is on and answers
/// `{"nonce":null}`.
///
/// # `POST /ready`
///
/// ```json
/// { "nonce": 5178254360917353 }
/// ```
///
/// Takes the drain with this nonce back and answers `{"phase":"serving"}`. The nonce is a whole number from 1 to
/// 2^53 - 1, in any form that JSON has for it: `5.178254360917353e15` is the same.
///
/// # What is refused
///
/// Each refusal is JSON, `{"error":".."}`, and changes nothing.
///
/// | | |
/// |---|---|
/// | 401 | no bearer token or a wrong one, or the judge says no; before the path or any of the body is looked at |
/// | 403 | a browser says that a page of another site sent it; after the 401, before the path or any of the body is looked at |
/// | 404, 405 | another path; another method |
/// | 400 | not the JSON object that is wanted: it names the field; or the body breaks off |
/// | 408 | the body is not complete within 10 s |
/// | 409 | the nonce is stale, the drain is sealed, or one is on already |
/// | 413 | the body is larger than 64 KiB |
/// | 415 | a `content-type` that is not JSON, or a `content-encoding` |
///
/// `content-type` may be left out, and may be that of a form, which `curl -d` sends unless it is told otherwise.
///
/// # Browsers
///
/// A page of any site can make a browser send an order, with the certificate, the cookie or the password that the browser
/// has for this address. Such an order is refused with 403, whichever constructor made the service:
///
/// - if `sec-fetch-site` is there and is neither `same-origin` nor `none`;
/// - without it, if `origin` is there and its host and port are not those of the request.
///
/// `curl` and other tools send neither header. `GET` and `HEAD` change nothing and may come from anywhere. These are the
/// rules of [`http.CrossOriginProtection`](https://pkg.go.dev/net/http#CrossOriginProtection) in Go.
///
/// # Secrets
///
/// The token is compared in constant time for a given length, and is in no log, answer or `Debug`. Tokens travel in the
/// clear: put TLS, a loopback address or a network of your own under them.
#[derive(Clone)]
pub struct Admin {
    auth: Auth,
    status: StatusService,
    handle: DrainHandle,
}

impl Admin {
    /// For those who send `authorization: Bearer` with this token.
    ///
    /// # Errors
    ///
    /// If nobody could send it: it is empty, or has white space or anything but visible ASCII characters in it.
    pub fn new(handle: DrainHandle, token: impl Into<String>) -> Result<Self, TokenError> {
        Ok(Self::of(handle, Auth::bearer(token.into())?))
    }

    /// For those whom `judge` lets in, by the head of their request.
    ///
    /// Do not judge by the peer's address alone: a page whose name is made to resolve to this address is of the same
    /// origin to a browser there (DNS rebinding).
    pub fn with_auth<F>(handle: DrainHandle, judge: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    {
        Self::of(handle, Auth::Judge(std::sync::Arc::new(judge)))
    }

    fn of(handle: DrainHandle, auth: Auth) -> Self {
        Self {
            auth,
            status: handle.status_service(),
            handle,
        }
    }

    /// `GET /drain-status` also lists who holds the drain: [`StatusService::detailed`].
    #[must_use]
    pub fn detailed(self) -> Self {
        Self {
            status: self.status.detailed(),
            ..self
        }
    }

    fn route<B>(&self, request: &Request<B>) -> Result<Route, Refusal> {
        if !self.auth.allows(&RequestHead::of(request)) {
            return Err(Refusal::unauthorized());
        }
        cross_site::check(request)?;
        let (route, allowed) = match request.uri().path() {
            "/drain-status" => (Route::Status, reply::ALLOWED),
            "/drain" => (Route::Drain, "POST"),
            "/ready" => (Route::Ready, "POST"),
            path => {
                let error = format!("there is no `{path}`: use /drain-status, /drain or /ready");
                return Err(Refusal::new(StatusCode::NOT_FOUND, error));
            }
        };
        match (route, request.method()) {
            (Route::Status, &(Method::GET | Method::HEAD)) => Ok(route),
            (Route::Drain | Route::Ready, &Method::POST) => Ok(route),
            (_, other) => Err(Refusal::method(other, allowed)),
        }
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Reply, Refusal>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let route = self.route(&request)?;
        let (head, body) = request.into_parts();
        match route {
            Route::Status => Ok(self.status.reply()),
            Route::Drain => {
                let body = body::read(&head.headers, body).await?;
                DrainOrder::parse(&body)?.obey(&self.handle)
            }
            Route::Ready => {
                let body = body::read(&head.headers, body).await?;
                ReadyOrder::parse(&body)?.obey(&self.handle)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Route {
    Status,
    Drain,
    Ready,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("handle", &self.handle)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Admin
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = AdminFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> AdminFuture {
        let asked = Asked::of(&request);
        let admin = self.clone();
        AdminFuture(Box::pin(async move {
            let reply = admin.answer(request).await;
            let reply = reply.unwrap_or_else(|refusal| refusal.reply());
            asked.finished(&admin.handle, reply)
        }))
    }
}

/// The future of [`Admin`]. Dropped before it is ready, it has changed nothing.
#[must_use = "futures do nothing unless polled"]
pub struct AdminFuture(Pin<Box<dyn Future<Output = Reply> + Send>>);

impl Future for AdminFuture {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for AdminFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminFuture(..)")
    }
}
