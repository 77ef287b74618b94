//! The server under test: this program again, as a process of its own.

use std::convert::Infallible;
use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio, Termination};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::Router;
use futures_util::Stream;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tower_drain::{DrainHandle, DrainLayer, Goodbye, Shutdown, StreamPolicy, Timeouts};

const DRAINS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(20);
/// A drain that cuts gives so long before it.
const BEFORE_THE_CUT: Duration = Duration::from_secs(1);

pub(crate) async fn serve() -> ExitCode {
    let layer = DrainLayer::new()
        .stream_policy(|head| match head.uri().query() {
            Some(query) if query.contains("n=") => StreamPolicy::Wait,
            _ => StreamPolicy::End,
        })
        .goodbye(Goodbye::event("goodbye"));
    let handle = layer.handle();
    let timeouts = Timeouts::default().lame_duck(Duration::from_secs(1));
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    // The last two are outside the layer.
    let app = Router::new()
        .route("/", get("hello"))
        .route("/events", get(events))
        .layer(layer)
        .route("/drain", post(drain))
        .route("/resume", post(resume))
        .with_state(handle);
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    match shutdown.serve(listener, app).await {
        Ok(report) => report.report(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Wanted {
    n: Option<u64>,
    every: Duration,
}

/// `n` events, or events without end.
async fn events(
    Query(query): Query<Vec<(String, u64)>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut wanted = Wanted::default();
    for (name, value) in query {
        match name.as_str() {
            "n" => wanted.n = Some(value),
            _ => wanted.every = Duration::from_millis(value),
        }
    }
    Sse::new(futures_util::stream::unfold(0, move |i| async move {
        if wanted.n == Some(i) {
            return None;
        }
        tokio::time::sleep(wanted.every).await;
        Some((Ok(Event::default().id(i.to_string()).data("event")), i + 1))
    }))
}

/// Answers once nothing is in flight. With `?cut=1` that is soon.
async fn drain(
    State(handle): State<DrainHandle>,
    Query(query): Query<Vec<(String, u8)>>,
) -> (StatusCode, String) {
    if !handle.begin_shutdown() {
        return (StatusCode::CONFLICT, "a drain is on".to_owned());
    }
    let mut drained = handle
        .wait_for_drain(match query.is_empty() {
            true => DRAINS_WITHIN,
            false => BEFORE_THE_CUT,
        })
        .await;
    if drained.is_err() && !query.is_empty() {
        handle.cut();
        drained = handle.wait_for_drain(DRAINS_WITHIN).await;
    }
    match drained {
        Ok(_) => (StatusCode::OK, String::new()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn resume(State(handle): State<DrainHandle>) -> (StatusCode, String) {
    let left = handle.in_flight();
    let resumed = handle.nonce().map(|nonce| handle.resume(nonce));
    match resumed {
        Some(Ok(())) if left == 0 => (StatusCode::OK, String::new()),
        _ => {
            let text = format!("{left} in flight, resume: {resumed:?}");
            (StatusCode::CONFLICT, text)
        }
    }
}

/// Ends the process also when the bench panics.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Result<Self, String> {
        let itself = env::current_exe().map_err(|error| error.to_string())?;
        let mut process = Command::new(itself)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server does not start: {error}"))?;
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut line);
        let addr = read.ok().and_then(|_| line.trim().parse().ok());
        let mut this = Self {
            addr: SocketAddr::from(([0, 0, 0, 0], 0)),
            process,
        };
        this.addr = addr.ok_or("the server does not say where it listens")?;
        Ok(this)
    }

    /// Resident memory, as the kernel has it.
    pub(crate) fn resident_kib(&self) -> Result<u64, String> {
        let file = format!("/proc/{}/status", self.process.id());
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.ok_or_else(|| format!("{file}: no VmRSS: the server is gone"))
    }

    /// SIGTERM; it must leave in time, and with 0.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let pid = Pid::from_raw(self.process.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGTERM).map_err(|error| error.to_string())?;
        let begin = Instant::now();
        while begin.elapsed() < STOPS_WITHIN {
            match self.process.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server left with {status}")),
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!(
            "the server is there {STOPS_WITHIN:?} after SIGTERM"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
