//! The coordinator's process: its routes, and its own shutdown.

use std::io::stdin;
use std::net::TcpListener as StdListener;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tower_drain::{BoxError, DrainHandle, Shutdown, Timeouts};

use super::fleet::{Fleet, Refusal};
use super::say::Say;
use super::wire::{Beat, ContainerReady, Ended, Eviction, Handoff, Job};
use super::{orphaned, seconds, state};

pub(crate) async fn run(say: Say) -> Result<ExitCode, BoxError> {
    // First of all: until the handlers are installed, a SIGTERM kills the process.
    let shutdown = Shutdown::new(DrainHandle::new());
    let handoff_after = seconds("HANDOFF_SECONDS", 11.0 * 60.0)?;
    let ttl = seconds("TTL_SECONDS", tower_drain::DEFAULT_TTL.as_secs_f64())?;
    if handoff_after >= ttl {
        let why = "the nonce would never be handed out: less than TTL_SECONDS is wanted";
        return Err(format!("HANDOFF_SECONDS: {handoff_after:?}: {why}").into());
    }
    let listener = inherited()?;
    say.line(format_args!(
        "listens, hands nonces out after {handoff_after:?}, lifts marks after {ttl:?}"
    ));
    let fleet = Fleet::restore(state()?, handoff_after, ttl, say)?;
    let app = Router::new()
        .route("/jobs", post(submit))
        .route("/heartbeat", post(heartbeat))
        .route("/container-eviction", post(evicted))
        .route("/container-ready", post(ready))
        .route("/ended", post(ended))
        .route("/drain-status", get(drain_status))
        .with_state(fleet);
    // Whoever calls it calls again.
    let timeouts = Timeouts::default()
        .lame_duck(Duration::ZERO)
        .settle(Duration::ZERO)
        .close(Duration::from_secs(1));
    let report = shutdown
        .timeouts(timeouts)
        .trigger(orphaned())
        .run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop))
        .await?;
    Ok(report.exit_code_when_cut(0))
}

/// Whoever starts the coordinator has the socket, so that calls wait in its backlog while the coordinator restarts.
fn inherited() -> Result<TcpListener, BoxError> {
    let socket = StdListener::from(stdin().as_fd().try_clone_to_owned()?);
    let is_socket = socket.local_addr();
    is_socket.map_err(|error| format!("stdin is not a listening socket: {error}"))?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket)?)
}

type Answer<T> = Result<Json<T>, Refusal>;

async fn submit(State(fleet): State<Fleet>, Json(job): Json<Job>) -> Json<()> {
    fleet.submit(job).await;
    Json(())
}

async fn heartbeat(State(fleet): State<Fleet>, Json(beat): Json<Beat>) -> Json<Handoff> {
    let nonce = fleet.beat(beat);
    fleet.dispatch().await;
    Json(Handoff { nonce })
}

async fn evicted(State(fleet): State<Fleet>, Json(eviction): Json<Eviction>) -> Answer<()> {
    fleet.evict(&eviction).map(Json)
}

async fn ready(State(fleet): State<Fleet>, Json(ready): Json<ContainerReady>) -> Answer<()> {
    fleet.ready(&ready).map(Json)
}

async fn ended(State(fleet): State<Fleet>, Json(ended): Json<Ended>) -> Json<()> {
    fleet.ended(&ended);
    Json(())
}

async fn drain_status(State(fleet): State<Fleet>) -> Response {
    match fleet.drain_status().await {
        Ok(all) => Json(all).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Stale(_) => StatusCode::CONFLICT,
            Self::NotKept(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
