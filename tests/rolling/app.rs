//! The server under test, in three ways to stop it. The test runs its own binary again as this process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::Router;
use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tower_drain::{DrainHandle, DrainLayer, Phase};

/// How the server behaves at SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `axum::serve` with its graceful shutdown and nothing of this crate: what everybody has today.
    Plain,
    /// 503 from the signal on: what a rejecting middleware alone does.
    RejectAtSignal,
    /// `Shutdown::serve` with default settings.
    Sequence,
}

impl Behaviour {
    const ALL: [Self; 3] = [Self::Plain, Self::RejectAtSignal, Self::Sequence];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::RejectAtSignal => "reject-at-signal",
            Self::Sequence => "sequence",
        }
    }

    /// # Errors
    ///
    /// A sentence with the names that there are.
    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        let known = |behaviour: &Self| behaviour.name() == name;
        Self::ALL.into_iter().find(known).ok_or_else(|| {
            format!("no server called `{name}`: it is plain, reject-at-signal or sequence")
        })
    }

    /// How many seconds a stop takes about, with streams of 1.5 s.
    pub(crate) fn stop_takes(self) -> u64 {
        match self {
            Self::Sequence => 8,
            Self::Plain | Self::RejectAtSignal => 2,
        }
    }

    /// The longest stop that is right: for the sequence lame duck, both settles, the longest request and 1 s.
    pub(crate) fn stops_within(self) -> Duration {
        match self {
            Self::Sequence => Duration::from_millis(5000 + 2 * 500 + 1500 + 1000),
            Self::Plain | Self::RejectAtSignal => Duration::from_secs(5),
        }
    }

    /// Whether this build has it.
    pub(crate) fn is_built(self) -> bool {
        self != Self::Sequence || cfg!(feature = "server")
    }
}

/// Listens on `ADDR` until SIGTERM.
pub(crate) async fn serve(behaviour: Behaviour) -> ExitCode {
    let addr = std::env::var("ADDR").expect("ADDR says where to listen");
    let listener = TcpListener::bind(&addr)
        .await
        .unwrap_or_else(|error| panic!("cannot listen on {addr}: {error}"));
    match behaviour {
        Behaviour::Plain => plain(listener).await,
        Behaviour::RejectAtSignal => reject_at_signal(listener).await,
        Behaviour::Sequence => sequence(listener).await,
    }
}

async fn plain(listener: TcpListener) -> ExitCode {
    let app = routes().route("/readyz", get(StatusCode::OK));
    let served = axum::serve(listener, app).with_graceful_shutdown(sigterm());
    code(served.await.is_ok())
}

async fn reject_at_signal(listener: TcpListener) -> ExitCode {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let stop = {
        let handle = handle.clone();
        async move {
            sigterm().await;
            handle.begin_shutdown();
            let _ = handle.wait_for_drain(Duration::from_secs(10)).await;
            // As if a request had still been at work, which with h2load alone is left to chance.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let app = with_readiness(routes().layer(layer), handle);
    let served = axum::serve(listener, app).with_graceful_shutdown(stop);
    code(served.await.is_ok())
}

#[cfg(feature = "server")]
async fn sequence(listener: TcpListener) -> ExitCode {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = with_readiness(routes().layer(layer), handle.clone());
    let shutdown = tower_drain::Shutdown::new(handle);
    match shutdown.serve(listener, app).await {
        Ok(report) => std::process::Termination::report(report),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(feature = "server"))]
async fn sequence(_: TcpListener) -> ExitCode {
    eprintln!("the sequence needs the feature `server`");
    ExitCode::FAILURE
}

fn code(succeeded: bool) -> ExitCode {
    if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

pub(crate) async fn sighup() {
    let mut signals = signal(SignalKind::hangup()).expect("SIGHUP can be caught");
    signals.recv().await;
}

pub(crate) async fn sigterm() {
    let mut signals = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    signals.recv().await;
}

fn routes() -> Router {
    Router::new()
        .route("/", get("hello"))
        .route("/echo", post(|body: axum::body::Bytes| async { body }))
        .route("/events", get(events))
}

/// Outside the layer, so that probes are answered throughout.
fn with_readiness(app: Router, handle: DrainHandle) -> Router {
    app.route(
        "/readyz",
        get(move || async move {
            match handle.phase() {
                Phase::Serving => StatusCode::OK,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            }
        }),
    )
}

/// `n` events with ids from 0, `every_ms` apart, then the end.
async fn events(
    Query(wanted): Query<HashMap<String, u64>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let [n, every_ms] = ["n", "every_ms"].map(|key| wanted.get(key).copied().unwrap_or(10));
    Sse::new(futures_util::stream::unfold(0, move |i| async move {
        if i == n {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(every_ms)).await;
        let id = i.to_string();
        Some((Ok(Event::default().id(&id).data(&id)), i + 1))
    }))
}
