//! The server, as a process of its own: `Shutdown::serve`, or `axum::serve` under `Shutdown::run` for comparison.
//!
//! It says on stdout where it listens, what it admits, each phase, and at the end its report as JSON.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::Router;
use futures_util::stream::{self, StreamExt};
use nix::sys::resource::{setrlimit, Resource};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{signal, SignalKind};
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, Shutdown, ShutdownReport, StopAccepting, Timeouts,
};

use crate::content::body;

/// `serve` or `axum`.
pub(crate) const SERVER: &str = "LINKS_SERVER";
/// `127.0.0.1:0` unless it is set.
pub(crate) const ADDR: &str = "LINKS_ADDR";
/// Set where stdin is the listening socket.
pub(crate) const STDIN: &str = "LINKS_STDIN";
/// How many files the process may have open.
pub(crate) const FILES: &str = "LINKS_FILES";
/// Set for `StopAccepting::AfterDrain`.
pub(crate) const AFTER_DRAIN: &str = "LINKS_AFTER_DRAIN";

const CHUNK: usize = 16 * 1024;

/// Ends the process, with the exit code that `main` would end with.
pub(crate) fn main() -> ! {
    // The test harness has begun a line.
    say("");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    if let Ok(files) = env::var(FILES) {
        let files = files.parse().expect("a number of files");
        setrlimit(Resource::RLIMIT_NOFILE, files, files).expect("fewer files than before");
    }
    let code = match Runtime::new().unwrap().block_on(run()) {
        Ok(report) => {
            say(&format!("report {}", json(&report)));
            i32::from(report.exit_code() != ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            2
        }
    };
    std::process::exit(code)
}

fn json(report: &ShutdownReport) -> serde_json::Value {
    serde_json::json!({
        "cut": report.cut,
        "still_held": report.still_held.len(),
        "unflushed": report.unflushed,
        "rejected": report.rejected,
        "complete": report.is_complete(),
    })
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn run() -> Result<ShutdownReport, BoxError> {
    let handle = DrainHandle::new();
    let mut shutdown = Shutdown::new(handle.clone()).timeouts(Timeouts::from_env()?);
    if env::var_os(AFTER_DRAIN).is_some() {
        shutdown = shutdown.stop_accepting(StopAccepting::AfterDrain);
    }
    tokio::spawn(tell_phases(handle.clone()));
    tokio::spawn(maintain(handle.clone()));
    let listener = listen().await?;
    let app = app(handle);
    say(&format!("listening {}", listener.local_addr()?));
    if env::var(SERVER)? == "axum" {
        // As `serve` does it.
        let listener = listener.tap_io(|tcp| drop(tcp.set_nodelay(true)));
        let served = shutdown.run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop));
        return served.await;
    }
    shutdown.serve(listener, app).await
}

async fn listen() -> Result<TcpListener, BoxError> {
    if env::var_os(STDIN).is_none() {
        let addr = env::var(ADDR).unwrap_or_else(|_| "127.0.0.1:0".into());
        return Ok(TcpListener::bind(addr).await?);
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

async fn tell_phases(handle: DrainHandle) {
    loop {
        say(&format!("phase {:?}", handle.changed().await));
    }
}

/// A drain for maintenance at SIGUSR1, which does not end the process.
async fn maintain(handle: DrainHandle) {
    let mut usr1 = signal(SignalKind::user_defined1()).expect("it can be caught");
    while usr1.recv().await.is_some() {
        handle.begin_shutdown();
    }
}

fn app(handle: DrainHandle) -> Router {
    Router::new()
        .route("/one/{bytes}", get(one))
        .route("/stream/{bytes}", get(chunks))
        .route("/stalled/{bytes}", get(stalled))
        .route("/upload", post(upload))
        .layer(DrainLayer::from_handle(handle.clone()))
        .with_state(handle)
}

type Wanted = Query<HashMap<String, String>>;

/// Says that the request is in. Returns its id, where it is late after the stop.
async fn admit(handle: &DrainHandle, wanted: &HashMap<String, String>) -> u64 {
    let id = wanted["id"].parse().expect("a number");
    say(&format!("admitted {id}"));
    if wanted.get("late").is_some_and(|late| late == "true") {
        handle.draining().await;
    }
    id
}

async fn one(
    State(handle): State<DrainHandle>,
    Path(bytes): Path<usize>,
    Query(wanted): Wanted,
) -> Vec<u8> {
    body(admit(&handle, &wanted).await, bytes)
}

async fn chunks(
    State(handle): State<DrainHandle>,
    Path(bytes): Path<usize>,
    Query(wanted): Wanted,
) -> Body {
    let whole = Bytes::from(body(admit(&handle, &wanted).await, bytes));
    let chunks = (0..bytes).step_by(CHUNK).map(move |from| {
        let to = bytes.min(from + CHUNK);
        Ok::<_, Infallible>(whole.slice(from..to))
    });
    Body::from_stream(stream::iter(chunks))
}

/// Ends by a cut alone.
async fn stalled(
    State(handle): State<DrainHandle>,
    Path(bytes): Path<usize>,
    Query(wanted): Wanted,
) -> Body {
    let begin = Bytes::from(body(admit(&handle, &wanted).await, bytes));
    let begin = stream::iter([Ok::<_, Infallible>(begin)]);
    Body::from_stream(begin.chain(stream::pending()))
}

async fn upload(State(handle): State<DrainHandle>, Query(wanted): Wanted, body: Bytes) -> String {
    admit(&handle, &wanted).await;
    body.len().to_string()
}
