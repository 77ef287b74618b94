//! The other side: hands out operations, breaks one stream, and says goodbye on the next.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{from_fn_with_state, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{channel, Sender};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tower_drain::BoxError;

use crate::client::INSTANCE;
use crate::say::Say;

/// What it does when its work is handed out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Leaves,
    Stays,
    Hangs,
}

impl Manner {
    pub(crate) fn from_env() -> Result<Self, BoxError> {
        match std::env::var("ORCHESTRATOR").as_deref() {
            Err(_) | Ok("leaves") => Ok(Self::Leaves),
            Ok("stays") => Ok(Self::Stays),
            Ok("hangs") => Ok(Self::Hangs),
            Ok(other) => {
                let ways = "set `leaves`, `stays` or `hangs`";
                Err(format!("ORCHESTRATOR: {other:?}: {ways}").into())
            }
        }
    }
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    pub(crate) heartbeats: usize,
}

#[derive(Clone)]
pub(crate) struct Orchestrator(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    manner: Manner,
    say: Say,
    /// A heartbeat said that the agent has no room.
    full: Notify,
    state: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    instance: Option<String>,
    seen: Seen,
    said_goodbye: bool,
    last_heartbeat: String,
}

impl Orchestrator {
    pub(crate) async fn start(manner: Manner, say: Say) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        say.line(format_args!("listening on http://{address}"));
        let orchestrator = Self(Arc::new(Inner {
            address,
            manner,
            say,
            full: Notify::new(),
            state: Mutex::default(),
        }));
        let app = Router::new()
            .route("/operations", get(operations))
            .route("/heartbeat", post(heartbeat))
            .route("/{what}", post(told))
            .layer(from_fn_with_state(orchestrator.clone(), known))
            .with_state(orchestrator.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(orchestrator)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn seen(&self) -> Seen {
        self.kept().seen
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.state.lock().expect("nobody panics with it")
    }

    fn hangs(&self) -> bool {
        self.0.manner == Manner::Hangs && self.kept().said_goodbye
    }

    /// What comes on a stream, from the operation after `last` on.
    async fn hand_out(self, last: u32, stream: Sender<Result<Event, io::Error>>) -> Option<()> {
        let operation = |number: u32, millis: u32| {
            let event = Event::default().event("operation").id(number.to_string());
            Ok(event.data(millis.to_string()))
        };
        if last == 0 {
            stream.send(operation(1, 100)).await.ok()?;
            stream.send(operation(2, 100)).await.ok()?;
            // The agent reads what was sent before it finds the stream broken.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return stream.send(Err(io::ErrorKind::Other.into())).await.ok();
        }
        for number in last + 1..=last + 4 {
            stream.send(operation(number, 500)).await.ok()?;
        }
        self.0.full.notified().await;
        if self.0.manner == Manner::Stays {
            self.0.say.line(format_args!("nothing more to do"));
            stream.closed().await;
            return Some(());
        }
        self.0.say.line(format_args!("says goodbye"));
        self.kept().said_goodbye = true;
        stream
            .send(Ok(Event::default().event("goodbye").data("{}")))
            .await
            .ok()?;
        stream.closed().await;
        Some(())
    }
}

/// Every call says which instance makes it, and it is always the same.
async fn known(State(orchestrator): State<Orchestrator>, request: Request, next: Next) -> Response {
    let instance = request.headers().get(INSTANCE);
    let Some(instance) = instance.and_then(|id| id.to_str().ok()) else {
        return (StatusCode::BAD_REQUEST, "who is this?").into_response();
    };
    {
        let mut kept = orchestrator.kept();
        let first = kept.instance.get_or_insert_with(|| instance.to_owned());
        if first != instance {
            return (StatusCode::CONFLICT, "another instance").into_response();
        }
        kept.seen.calls += 1;
    }
    next.run(request).await
}

async fn operations(State(orchestrator): State<Orchestrator>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let Some(last) = last.and_then(|id| id.parse().ok()) else {
        return (StatusCode::BAD_REQUEST, "after which operation?").into_response();
    };
    let (stream, events) = channel(8);
    tokio::spawn(orchestrator.hand_out(last, stream));
    Sse::new(ReceiverStream::new(events)).into_response()
}

async fn heartbeat(State(orchestrator): State<Orchestrator>, text: String) {
    if orchestrator.hangs() {
        std::future::pending::<()>().await;
    }
    let mut kept = orchestrator.kept();
    kept.seen.heartbeats += 1;
    if text.ends_with("room for 0") {
        orchestrator.0.full.notify_one();
    }
    if kept.last_heartbeat != text {
        orchestrator.0.say.line(format_args!("heartbeat: {text}"));
        kept.last_heartbeat = text;
    }
}

/// Done, handed back, leaving.
async fn told(
    State(orchestrator): State<Orchestrator>,
    axum::extract::Path(what): axum::extract::Path<String>,
    text: String,
) {
    if orchestrator.hangs() {
        std::future::pending::<()>().await;
    }
    orchestrator
        .0
        .say
        .line(format_args!("is told: {what} {text}"));
}
