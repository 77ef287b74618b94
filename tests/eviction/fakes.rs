//! The counterparts: a worker for the coordinator, and a coordinator for the worker.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{json, Value};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use crate::process::{within, Desk};

/// What somebody was told: on which path, and what.
pub(crate) type Calls = UnboundedReceiver<(String, Value)>;

/// The next call on `path`, whatever else is called meanwhile.
pub(crate) async fn next(calls: &mut Calls, path: &str) -> Value {
    let next = async {
        while let Some((at, body)) = calls.recv().await {
            if at == path {
                return body;
            }
        }
        panic!("no call on `{path}`");
    };
    within(path, next).await
}

/// One instance of a worker, which takes every job and never ends one.
pub(crate) struct FakeWorker {
    id: String,
    from: Value,
    pub(crate) calls: Calls,
    server: JoinHandle<()>,
}

impl FakeWorker {
    pub(crate) async fn new(name: &str, id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let (called, calls) = unbounded_channel();
        let healthy = json!({ "id": id });
        let app = Router::new().route(
            "/{path}",
            post(move |Path(path): Path<String>, Json(body): Json<Value>| {
                let answer = match path.as_str() {
                    "health" => healthy.clone(),
                    _ => Value::Null,
                };
                drop(called.send((path, body)));
                async move { Json(answer) }
            }),
        );
        Self {
            id: id.to_owned(),
            from: json!({ "name": name, "id": id, "jobs_at": at, "health_at": at }),
            calls,
            server: tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") }),
        }
    }

    /// The nonce of the answer.
    pub(crate) async fn beat(&self, desk: &Desk) -> Option<u64> {
        let beat = json!({ "from": self.from, "in_hand": 0 });
        let (status, answer) = desk.post("heartbeat", &beat).await;
        assert_eq!(status, 200, "{answer}");
        answer["nonce"].as_u64()
    }

    pub(crate) async fn leave(&self, desk: &Desk) {
        let eviction = json!({ "name": self.from["name"], "id": self.id, "reason": "SIGTERM" });
        let (status, answer) = desk.post("container-eviction", &eviction).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) async fn ready(&self, desk: &Desk, nonce: u64) -> (u16, Value) {
        let ready = json!({ "name": self.from["name"], "nonce": nonce });
        desk.post("container-ready", &ready).await
    }

    /// What the next health check hands over.
    pub(crate) async fn checked(&mut self) -> Option<u64> {
        next(&mut self.calls, "health").await["nonce"].as_u64()
    }

    /// Its port closes, and its connections break.
    pub(crate) async fn die(self) {
        self.server.abort();
        drop(self.server.await);
    }
}

/// What a coordinator does about an eviction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Hears,
    Refuses,
    Hangs,
}

/// It hears everything, and hands `nonce` out with the answers to heartbeats.
pub(crate) struct FakeCoordinator {
    pub(crate) at: SocketAddr,
    pub(crate) calls: Calls,
    pub(crate) nonce: Arc<Mutex<Option<u64>>>,
}

#[derive(Clone)]
struct Desks {
    manner: Manner,
    called: UnboundedSender<(String, Value)>,
    nonce: Arc<Mutex<Option<u64>>>,
}

impl FakeCoordinator {
    pub(crate) async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let (called, calls) = unbounded_channel();
        let nonce = Arc::new(Mutex::default());
        let desks = Desks {
            manner,
            called,
            nonce: nonce.clone(),
        };
        let app = Router::new().route("/{path}", post(hear)).with_state(desks);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { at, calls, nonce }
    }
}

async fn hear(
    State(desks): State<Desks>,
    Path(path): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let is_eviction = path == "container-eviction";
    let answer = match path.as_str() {
        "heartbeat" => json!({ "nonce": *desks.nonce.lock().expect("not poisoned") }),
        _ => Value::Null,
    };
    drop(desks.called.send((path, body)));
    match desks.manner {
        Manner::Hangs if is_eviction => std::future::pending().await,
        Manner::Refuses if is_eviction => (StatusCode::INTERNAL_SERVER_ERROR, Json(answer)),
        _ => (StatusCode::OK, Json(answer)),
    }
}
