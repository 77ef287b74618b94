use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use http::{Request, StatusCode};
use serde::Serialize;
use tower_service::Service;

use super::reply::{self, get, Reply};
use crate::{DrainHandle, Phase, Straggler};

/// Whoever reads more than this is not looking for the ones that hold the drain.
const LISTED: usize = 100;

impl DrainHandle {
    /// A service that answers with how the drain stands, as JSON. See [`StatusService`].
    pub fn status_service(&self) -> StatusService {
        StatusService {
            handle: self.clone(),
            detailed: false,
        }
    }
}

/// The service of [`DrainHandle::status_service`].
///
/// It answers 200 to GET and HEAD in every phase. [`Readiness`](crate::Readiness) shows how it is mounted.
///
/// ```json
/// {
///   "phase": "lame_duck",
///   "in_flight": 2,
///   "rejected": 0,
///   "reason": "a deploy",
///   "since": 1767225600.123,
///   "lifts_in_s": 899.975
/// }
/// ```
///
/// `phase` is one of `serving`, `lame_duck`, `draining`, `drained`; `since` is when it began, in seconds since 1970
/// (Unix time, UTC). `reason` is null while serving, and `lifts_in_s` is null unless the drain has a time to live. The
/// nonce is never shown: who may read this may not therefore end the drain.
#[derive(Clone, Debug)]
pub struct StatusService {
    handle: DrainHandle,
    detailed: bool,
}

impl StatusService {
    /// Also lists who holds the drain, as [`stragglers`](DrainHandle::stragglers) does, the 100 oldest at most:
    ///
    /// ```json
    /// "stragglers": [
    ///   { "id": 7, "method": "GET", "path": "/export", "label": null, "age_s": 42.0, "phase": "handler" }
    /// ]
    /// ```
    ///
    /// Paths can tell who does what. Show them where only operators look; queries are never shown.
    #[must_use]
    pub fn detailed(self) -> Self {
        Self {
            detailed: true,
            ..self
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let status = self.handle.status();
        let stragglers = self.detailed.then(|| self.handle.stragglers());
        let since = status.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let said = Said {
            phase: status.phase,
            in_flight: status.in_flight,
            rejected: status.rejected,
            reason: status.reason.map(|reason| reason.to_string()),
            since: seconds(since),
            lifts_in_s: status.lifts_in.map(seconds),
            stragglers: stragglers.map(|all| all.iter().take(LISTED).map(Listed::of).collect()),
        };
        reply::json(StatusCode::OK, &said)
    }
}

impl<B> Service<Request<B>> for StatusService {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        get(&self.handle, &request, || self.reply())
    }
}

#[derive(Serialize)]
struct Said {
    phase: Phase,
    in_flight: usize,
    rejected: u64,
    reason: Option<String>,
    since: f64,
    lifts_in_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stragglers: Option<Vec<Listed>>,
}

#[derive(Serialize)]
struct Listed {
    id: u64,
    method: Option<String>,
    path: Option<String>,
    label: Option<String>,
    age_s: f64,
    phase: String,
}

impl Listed {
    fn of(straggler: &Straggler) -> Self {
        Self {
            id: straggler.id,
            method: straggler.method.clone(),
            path: straggler.path.clone(),
            label: straggler.label.as_deref().map(str::to_owned),
            age_s: seconds(straggler.age),
            phase: straggler.phase.to_string(),
        }
    }
}

/// To the millisecond: more would only be digits.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
