//! The server's handlers, the right ones and the wrong ones.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, post};
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::{stream, Stream, StreamExt};
use http::StatusCode;
use tokio::time::sleep;
use tower_drain::{BoxError, DrainGuard, DrainLayer};
use tower_http::timeout::TimeoutLayer;

use crate::content::bytes;
use crate::probe::{probed, Probes};

const CHUNK: usize = 4 * 1024;

/// Work that outlives its request, and of which none may be left when the drain is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    begun: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Work {
    fn spawn(&self, guard: DrainGuard, takes: Duration) {
        self.begun.fetch_add(1, SeqCst);
        let done = self.done.clone();
        tokio::spawn(async move {
            sleep(takes).await;
            done.fetch_add(1, SeqCst);
            drop(guard);
        });
    }

    /// # Panics
    ///
    /// If some of it is not done.
    pub(crate) fn is_done(&self) -> usize {
        let begun = self.begun.load(SeqCst);
        let done = self.done.load(SeqCst);
        assert_eq!(done, begun, "work that held a guard outlived the drain");
        done
    }
}

/// With a timeout on either side of the layer: the one inside answers for the handler, the one outside drops what the
/// layer counts.
pub(crate) fn app(layer: DrainLayer, work: &Work, probes: &Probes) -> Router {
    let timeout = |millis| {
        let after = Duration::from_millis(millis);
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, after)
    };
    Router::new()
        .route("/text/{id}/{len}", any(text))
        .route("/stream/{id}/{len}", any(streamed))
        .route("/slow/{id}/{len}", any(slow))
        .route("/guarded/{id}/{len}", any(guarded))
        .route("/echo/{id}/{len}", post(|body: Body| async { body }))
        .route("/collect/{id}/{len}", post(|body: Bytes| async { body }))
        .route("/never/{id}/{len}", any(never).layer(timeout(40)))
        .route("/endless/{id}/{len}", any(endless))
        .route("/panic/{id}/{len}", any(panics))
        .route("/panic-in-body/{id}/{len}", any(panics_in_body))
        .route("/fail/{id}/{len}", any(fails))
        .with_state(work.clone())
        .layer(from_fn_with_state(probes.clone(), probed))
        .layer(layer.share_guard())
        .layer(timeout(2000))
}

type What = Path<(u32, usize)>;

async fn text(Path((id, len)): What) -> Bytes {
    bytes(id, 0, len)
}

async fn slow(Path((id, len)): What) -> Bytes {
    sleep(Duration::from_millis(u64::from(id % 30))).await;
    bytes(id, 0, len)
}

async fn guarded(
    Path((id, len)): What,
    State(work): State<Work>,
    Extension(guard): Extension<DrainGuard>,
) -> Bytes {
    work.spawn(guard, Duration::from_millis(u64::from(id % 50)));
    bytes(id, 0, len)
}

/// Chunks of `id` from its begin to `len`, most at once and some after a pause.
fn chunks(id: u32, len: usize) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::iter((0..len).step_by(CHUNK)).then(move |from| async move {
        match (id as usize).wrapping_add(from / CHUNK) % 6 {
            0 => sleep(Duration::from_millis(1)).await,
            1 | 2 => tokio::task::yield_now().await,
            _ => {}
        }
        Ok(bytes(id, from, CHUNK.min(len - from)))
    })
}

async fn streamed(Path((id, len)): What) -> Body {
    Body::from_stream(chunks(id, len))
}

async fn endless(Path((id, len)): What) -> Body {
    Body::from_stream(chunks(id, len).chain(stream::pending()))
}

async fn fails(Path((id, len)): What) -> Body {
    let error = stream::once(async { Err("a body error that is meant".into()) });
    Body::from_stream(chunks(id, len).chain(error))
}

/// Only the handler's half of the time is its own: the timeout inside answers, or the timeout outside, or a cut.
async fn never(Path((id, _)): What) -> Response {
    if id % 2 == 0 {
        std::future::pending::<()>().await;
    }
    sleep(Duration::from_secs(60)).await;
    Response::default()
}

async fn panics(Path((id, _)): What) -> Response {
    if id % 2 == 0 {
        tokio::task::yield_now().await;
    }
    unwind()
}

async fn panics_in_body(Path((id, len)): What) -> Body {
    let panic = stream::once(async { unwind() });
    Body::from_stream(chunks(id, len).chain(panic))
}

/// Without the message that a panic prints.
fn unwind() -> ! {
    std::panic::resume_unwind(Box::new("a panic that is meant"))
}
