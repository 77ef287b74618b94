//! A server to drive by hand, and the page of code that an operator copies.
//!
//! ```sh
//! cargo run --all-features --example server &
//! curl -N 'http://127.0.0.1:3000/events?n=50' &
//! sleep 1; kill -TERM %1
//! ```
//!
//! A browser shows a page at `/` that follows it over a restart.
//!
//! | variable | meaning |
//! |---|---|
//! | `ADDR` | where it listens; `127.0.0.1:3000` unless it is set |
//! | `ADMIN_ADDR` | where probes and status are served too, until the very end |
//! | `ADMIN_TOKEN` | who has it may `POST /drain` and `POST /ready` on `ADMIN_ADDR` |
//! | `STOP_ACCEPTING` | `at-lame-duck`, `at-drain` (default) or `after-drain` |
//! | `GRACEFUL_SHUTDOWN_..` | see `Timeouts::from_env` and `Signals::from_env` |

mod admin;
mod page;

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{close_code, CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::Query;
use axum::http::{header, HeaderMap, Request};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tower_drain::{
    BoxError, DrainGuard, DrainHandle, DrainLayer, Goodbye, Shutdown, ShutdownReport, Signals,
    StopAccepting, StreamPolicy, Timeouts,
};
use tracing::{error, info};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Or a line panics when whoever read stderr is gone, and with it what the line is about.
        .log_internal_errors(false)
        .init();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run());
    // A runtime that is dropped waits for every handler that blocks its thread, however long that takes.
    runtime.shutdown_background();
    match ended {
        Ok(report) => {
            info!("\n{report}");
            report.exit_code()
        }
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ShutdownReport, BoxError> {
    let handle = DrainHandle::new();
    // First of all: until the handlers are installed, a SIGTERM kills the process.
    let mut shutdown = Shutdown::new(handle.clone())
        .timeouts(Timeouts::from_env()?)
        .signals(Signals::from_env()?)
        .stop_accepting(stop_accepting()?)
        .on_begin("say goodbye", Duration::from_secs(5), |status| async move {
            info!("leaving, with {} in flight", status.in_flight);
            Ok(())
        })
        .on_cut("save work", Duration::from_secs(2), |cut| async move {
            info!(
                "{} cut, {} still held",
                cut.ended.len(),
                cut.still_held.len()
            );
            Ok(())
        })
        .on_drained(
            "close the pool",
            Duration::from_secs(2),
            |report| async move {
                info!(
                    "closing what requests needed; {} were rejected",
                    report.rejected
                );
                Ok(())
            },
        );
    let operators = admin::administration(&handle)?;
    if let Some(address) = variable("ADMIN_ADDR")? {
        let listener = bind("ADMIN_ADDR", &address).await?;
        info!("administration on http://{}", listener.local_addr()?);
        shutdown =
            shutdown.beside(|stop| axum::serve(listener, operators).with_graceful_shutdown(stop));
    }
    shutdown.check()?;
    raise_file_limit()?;

    let address = variable("ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = bind("ADDR", &address).await?;
    let said = format!("listening on http://{}\n", listener.local_addr()?);
    // Nobody has to read it.
    let _ = std::io::stdout().write_all(said.as_bytes());
    shutdown.serve(listener, app(&handle)).await
}

/// A value that is not UTF-8 is not the same as none.
fn variable(name: &str) -> Result<Option<String>, BoxError> {
    let value = env::var_os(name).map(|value| value.into_string());
    let text = value.transpose();
    text.map_err(|value| format!("{name}: {value:?} is not UTF-8").into())
}

async fn bind(name: &str, address: &str) -> Result<TcpListener, BoxError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| format!("{name}: cannot listen on `{address}`: {error}").into())
}

fn stop_accepting() -> Result<StopAccepting, BoxError> {
    let value = env::var_os("STOP_ACCEPTING").unwrap_or_else(|| "at-drain".into());
    match value.to_str() {
        Some("at-lame-duck") => Ok(StopAccepting::AtLameDuck),
        Some("at-drain") => Ok(StopAccepting::AtDrain),
        Some("after-drain") => Ok(StopAccepting::AfterDrain),
        _ => Err(format!(
            "STOP_ACCEPTING: {value:?}: set `at-lame-duck`, `at-drain` or `after-drain`"
        )
        .into()),
    }
}

/// Every open stream is a file.
fn raise_file_limit() -> Result<(), BoxError> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{getrlimit, setrlimit, Resource};
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    }
    Ok(())
}

fn app(handle: &DrainHandle) -> Router {
    let layer = DrainLayer::from_handle(handle.clone())
        .share_guard()
        .goodbye(Goodbye::event("goodbye").data("the service is shutting down"))
        .event_source_retry(Duration::from_secs(1));
    Router::new()
        .route("/", get(page::index))
        .route("/slow", get(slow))
        .route("/echo", post(echo))
        .route("/events", get(events))
        .route("/held", get(held))
        .route("/ws", get(websocket))
        .layer(layer)
        .merge(admin::probes(handle))
}

type Parameters = Query<HashMap<String, u64>>;

async fn slow(Query(parameters): Parameters) -> String {
    let ms = parameters.get("ms").copied().unwrap_or(100);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    format!("slept {ms} ms\n")
}

/// As it comes in, and of the type that it came in.
async fn echo(request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let mut response = Response::new(body);
    if let Some(content_type) = head.headers.get(header::CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type.clone());
    }
    response
}

/// `n` events, for which a drain waits, or events without end, which it ends.
async fn events(parameters: Parameters, headers: HeaderMap) -> impl IntoResponse {
    let policy = match parameters.0.contains_key("n") {
        true => StreamPolicy::Wait,
        false => StreamPolicy::End,
    };
    (Extension(policy), held(parameters, headers).await)
}

/// Who comes back with the id of the last event goes on after it.
async fn held(
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let first = last.map_or(0, |id| id.saturating_add(1));
    let n = parameters.get("n").copied().unwrap_or(u64::MAX);
    let every = Duration::from_millis(parameters.get("every_ms").copied().unwrap_or(100));
    Sse::new(stream::iter(first..n).then(move |i| async move {
        if i > first {
            tokio::time::sleep(every).await;
        }
        let i = i.to_string();
        Ok(Event::default().id(&i).data(i))
    }))
}

/// The answer to an upgrade ends the request: the guard holds the rest.
async fn websocket(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        if let Err(error) = talk(socket, &guard).await {
            info!("websocket: {error}");
        }
    })
}

/// Echoes until the drain begins, then says goodbye and waits for the peer's.
async fn talk(mut socket: WebSocket, guard: &DrainGuard) -> Result<(), axum::Error> {
    let draining = guard.draining();
    tokio::pin!(draining);
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = &mut draining => break,
        };
        match message.transpose()? {
            Some(echoed @ (Message::Text(_) | Message::Binary(_))) => socket.send(echoed).await?,
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            Some(Message::Close(_)) | None => return Ok(()),
        }
    }
    let goodbye = CloseFrame {
        code: close_code::AWAY,
        reason: "the service is shutting down".into(),
    };
    socket.send(Message::Close(Some(goodbye))).await?;
    let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
    tokio::select! {
        () = answered => {}
        () = guard.cut() => {}
    }
    Ok(())
}
