//! A worker's process: it takes jobs, beats, answers health checks, and leaves in order.

use std::process::ExitCode;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, DrainReason, Heartbeat, HookOutcome, Phase, Shutdown,
    ShutdownReport, Timeouts,
};
use uuid::Uuid;

use super::jobs::Jobs;
use super::say::Say;
use super::told::Told;
use super::wire::{Handoff, Healthy, Instance, Job};
use super::{orphaned, seconds, state};

const BEAT: Duration = Duration::from_millis(200);

pub(crate) async fn run(name: &str, say: Say) -> Result<ExitCode, BoxError> {
    let handle = DrainHandle::new();
    // First of all: until the handlers are installed, a SIGTERM kills the process.
    let shutdown = Shutdown::new(handle.clone());
    let mut interrupted = signal(SignalKind::interrupt())?;
    let timeouts = Timeouts::from_env()?;
    let bound = seconds("EVICTION_SECONDS", 10.0)?;

    let coordinator = std::env::var("COORDINATOR").unwrap_or_default();
    let coordinator = coordinator.parse();
    let coordinator = coordinator.map_err(|error| format!("COORDINATOR: {error}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let health = TcpListener::bind("127.0.0.1:0").await?;
    let instance = Instance {
        name: name.to_owned(),
        id: Uuid::new_v4().to_string(),
        jobs_at: listener.local_addr()?,
        health_at: health.local_addr()?,
    };
    let told = Told::new(coordinator, instance, handle.clone(), say.clone());
    let directory = state()?.join(name);
    let jobs = Jobs::new(handle.clone(), directory, told.clone(), say.clone())?;
    jobs.take_up_saved()?;

    let (evicted, cut, longest) = (told.clone(), jobs.clone(), jobs.longest());
    let checked = Router::new()
        .route("/health", post(healthy))
        .with_state(told.clone());
    let shutdown = shutdown
        .timeouts(timeouts)
        .trigger(orphaned())
        .on_begin("container-eviction", bound, move |status| async move {
            let reason = status.reason.unwrap_or(DrainReason::Requested);
            tokio::select! {
                biased;
                // Also one that came before this hook.
                _ = interrupted.recv() => Err("given up at the SIGINT".into()),
                told = evicted.eviction(&reason) => told,
            }
        })
        .on_cut("freeze and save", longest, |_| cut.freeze_and_save())
        .beside(|until_exit| axum::serve(health, checked).with_graceful_shutdown(until_exit));
    shutdown.check()?;

    let beating = told.clone();
    let heartbeat = Heartbeat::every(BEAT, move |status| {
        let told = beating.clone();
        async move { told.beat(status.in_flight).await }
    });
    let (heartbeat, stopped) = (heartbeat.until(Phase::LameDuck).run(&handle), say.clone());
    tokio::spawn(async move {
        heartbeat.await;
        stopped.line("the heartbeat stops");
    });
    let app = Router::new()
        .route("/jobs", post(take))
        .layer(DrainLayer::from_handle(handle))
        .with_state(jobs);
    let report = shutdown.serve(listener, app).await?;
    say_how(&report, &say);
    Ok(report.exit_code_when_cut(0))
}

fn say_how(report: &ShutdownReport, say: &Say) {
    for hook in &report.hooks {
        if !matches!(hook.outcome, HookOutcome::Done | HookOutcome::Skipped) {
            say.line(format_args!("{}: {}", hook.name, hook.outcome));
        }
    }
    let took = report.took.as_secs_f64();
    say.line(format_args!("leaves, {took:.1} s after {}", report.reason));
}

/// Accepted: from here on the job holds the drain, not the request.
async fn take(State(jobs): State<Jobs>, Json(job): Json<Job>) -> Result<Json<()>, StatusCode> {
    let begun = jobs.begin(job);
    begun.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(()))
}

async fn healthy(State(told): State<Told>, Json(handoff): Json<Handoff>) -> Json<Healthy> {
    told.is_handed(handoff);
    let id = told.id().to_owned();
    Json(Healthy { id })
}
