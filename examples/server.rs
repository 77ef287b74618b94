//! A server that drains on SIGTERM, to be tried out by hand and driven by tests.
//!
//! ```sh
//! cargo run --example server &
//! curl -N 'http://127.0.0.1:3000/events?n=50' &
//! sleep 1; kill -TERM %1
//! curl -i http://127.0.0.1:3000/          # 503
//! curl -i http://127.0.0.1:3000/livez     # 200
//! ```
//!
//! `ADDR` is where it listens, `127.0.0.1:3000` unless it is set. `GRACEFUL_SHUTDOWN_TIMEOUT` is for how many
//! seconds it waits for what is in flight, 300 unless it is set; then it cuts the rest, and exits with 1.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{close_code, CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{header, Request, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::oneshot;
use tower_drain::{BoxError, DrainGuard, DrainHandle, DrainLayer, DrainReason, Phase};
use tracing::{error, info, warn};

/// How long a peer may take to close its side.
const CLOSE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was admitted came to its own end.
async fn run() -> Result<bool, BoxError> {
    let timeout = drain_timeout()?;
    // Before the first connection: until then a SIGTERM kills the process.
    let mut sigterm = signal(SignalKind::terminate())?;

    let handle = DrainHandle::new();
    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("ADDR: cannot listen on `{address}`: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);

    // Its port stays open while it drains, so that newcomers are told.
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app(&handle))
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
    let server = tokio::spawn(async { server.await });

    sigterm.recv().await;
    let all_gone = drain(&handle, timeout).await;
    stop.send(()).unwrap_or_default();
    // The last frames are written when the server returns, not before.
    let closed = tokio::time::timeout(CLOSE, server).await;
    match closed {
        Ok(served) => served??,
        Err(_) => warn!("connections are still open after {CLOSE:?}: dropped"),
    }
    Ok(all_gone)
}

fn drain_timeout() -> Result<Duration, BoxError> {
    const NAME: &str = "GRACEFUL_SHUTDOWN_TIMEOUT";
    let Some(value) = env::var_os(NAME) else {
        return Ok(Duration::from_secs(300));
    };
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            format!("{NAME}: {value:?} is not a number of seconds: set one, such as 30 or 0.5")
                .into()
        })
}

async fn drain(handle: &DrainHandle, timeout: Duration) -> bool {
    let drained = handle.wait_for_drain(Duration::MAX);
    handle.begin_shutdown_because(DrainReason::Signal("SIGTERM".into()));
    if let Err(error) = handle.wait_for_drain(timeout).await {
        warn!("{error}");
        for straggler in handle.stragglers() {
            warn!("cutting {straggler}");
        }
        handle.cut();
    }
    // What was cut ends when it is polled next. A body that no peer reads is not, until its connection ends.
    match tokio::time::timeout(CLOSE, drained).await {
        Ok(Ok(report)) => {
            info!("{report}");
            report.cut == 0
        }
        Ok(Err(error)) => {
            warn!("{error}");
            false
        }
        Err(_) => {
            warn!("{} in flight after the cut", handle.in_flight());
            false
        }
    }
}

fn app(handle: &DrainHandle) -> Router {
    let layer = DrainLayer::from_handle(handle.clone())
        .exempt(|head| matches!(head.uri().path(), "/livez" | "/readyz" | "/drain-status"));
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/echo", post(echo))
        .route("/events", get(events))
        .route("/held", get(events))
        .route("/ws", get(websocket))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/drain-status", get(status))
        .with_state(handle.clone())
        .layer(layer)
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

/// `n` events, or without end.
async fn events(
    Query(parameters): Parameters,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let n = parameters.get("n").copied().unwrap_or(u64::MAX);
    let every = Duration::from_millis(parameters.get("every_ms").copied().unwrap_or(100));
    Sse::new(stream::iter(0..n).then(move |i| async move {
        if i > 0 {
            tokio::time::sleep(every).await;
        }
        let i = i.to_string();
        Ok(Event::default().id(&i).data(i))
    }))
}

async fn websocket(State(handle): State<DrainHandle>, upgrade: WebSocketUpgrade) -> Response {
    // The answer to an upgrade has an empty body, so the request is over with it: the guard holds the rest.
    match handle.try_guard_as("GET /ws, upgraded") {
        Ok(guard) => upgrade.on_upgrade(move |socket| async move {
            if let Err(error) = talk(socket, &handle, &guard).await {
                info!("websocket: {error}");
            }
        }),
        Err(refused) => (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).into_response(),
    }
}

/// Echoes until the drain begins, then says goodbye and waits for the peer's.
async fn talk(
    mut socket: WebSocket,
    handle: &DrainHandle,
    guard: &DrainGuard,
) -> Result<(), axum::Error> {
    let draining = handle.draining();
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
        () = tokio::time::sleep(CLOSE) => {}
    }
    Ok(())
}

async fn readyz(State(handle): State<DrainHandle>) -> (StatusCode, String) {
    let phase = handle.phase();
    let code = match phase {
        Phase::Serving => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, format!("{phase}\n"))
}

async fn status(State(handle): State<DrainHandle>) -> impl IntoResponse {
    let status = handle.status();
    let json = format!(
        "{{\"phase\":\"{}\",\"in_flight\":{},\"rejected\":{}}}\n",
        status.phase.as_str(),
        status.in_flight,
        status.rejected
    );
    ([(header::CONTENT_TYPE, "application/json")], json)
}
