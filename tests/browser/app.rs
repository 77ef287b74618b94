//! The server under test: a page, a feed of events, and two ways to stop. The test runs its own binary again as this
//! process.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::Html;
use axum::routing::get;
use axum::Router;
use futures_util::{stream, Stream};
use tokio::net::TcpListener;
use tower_drain::{
    DrainHandle, DrainLayer, Goodbye, Phase, Shutdown, StopAccepting, StreamPolicy, Timeouts,
};

const PAGE: &str = include_str!("streams.html");
/// Between two events of the feed.
const TICK: Duration = Duration::from_millis(50);
const COME_BACK_AFTER: Duration = Duration::from_millis(100);
/// The proxy of this test asks five times a second, and believes the second 503.
const LAME_DUCK: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(200);

/// How the server behaves at SIGTERM. All of them end their streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// The sequence, and a `retry:` for an `EventSource` that is rejected.
    Sequence,
    /// 503 from the signal on, which the proxy is not told: what a rejecting middleware alone does.
    Reject,
    /// The same with the one line that is there for an `EventSource`.
    RejectWithRetry,
}

impl Behaviour {
    const ALL: [Self; 3] = [Self::Sequence, Self::Reject, Self::RejectWithRetry];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Reject => "reject",
            Self::RejectWithRetry => "reject-with-retry",
        }
    }

    pub(crate) fn from_name(name: &str) -> Self {
        let known = |behaviour: &Self| behaviour.name() == name;
        Self::ALL
            .into_iter()
            .find(known)
            .expect("the test starts it by its name")
    }
}

/// Listens on `ADDR` until SIGTERM.
pub(crate) async fn serve(behaviour: Behaviour) -> ExitCode {
    let addr = std::env::var("ADDR").expect("ADDR says where to listen");
    let listener = TcpListener::bind(&addr)
        .await
        .unwrap_or_else(|error| panic!("cannot listen on {addr}: {error}"));

    let mut layer = DrainLayer::new()
        .stream_policy(|head| match head.uri().path() {
            "/feed" => StreamPolicy::End,
            _ => StreamPolicy::Wait,
        })
        .goodbye(Goodbye::event("goodbye").retry(COME_BACK_AFTER))
        .spread(COME_BACK_AFTER);
    if behaviour != Behaviour::Reject {
        layer = layer.event_source_retry(COME_BACK_AFTER);
    }
    let handle = layer.handle();
    let (lame_duck, stop_accepting) = match behaviour {
        Behaviour::Sequence => (LAME_DUCK, StopAccepting::AtDrain),
        // With an open socket, or nobody would see a rejection.
        Behaviour::Reject | Behaviour::RejectWithRetry => {
            (Duration::ZERO, StopAccepting::AfterDrain)
        }
    };
    let timeouts = Timeouts::default().lame_duck(lame_duck).settle(SETTLE);
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(timeouts)
        .stop_accepting(stop_accepting);
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/feed", get(feed))
        .route("/held", get(held))
        .layer(layer)
        .route("/readyz", get(move || readyz(behaviour, handle)));
    match shutdown.serve(listener, app).await {
        Ok(report) => report.exit_code(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn readyz(behaviour: Behaviour, handle: DrainHandle) -> StatusCode {
    match handle.phase() {
        Phase::Serving => StatusCode::OK,
        _ if behaviour == Behaviour::Sequence => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

/// How many events both servers have had.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    (since.as_millis() / TICK.as_millis()) as u64
}

/// One event a tick, with the tick as its id. Who comes back gets all since the last one; a newcomer begins now.
async fn feed(headers: HeaderMap) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let first = last.map_or_else(now, |id| id + 1);
    Sse::new(stream::unfold(first, |id| async move {
        while now() < id {
            tokio::time::sleep(TICK / 5).await;
        }
        let text = id.to_string();
        Some((Ok(Event::default().id(&text).data(text)), id + 1))
    }))
}

/// Holds the drain for as long as somebody reads it.
async fn held() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::pending())
}
