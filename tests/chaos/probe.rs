//! Handlers and bodies that look at the count when they are dropped: what is counted is gone before its count.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tower_drain::DrainHandle;

#[derive(Clone, Debug)]
pub(crate) struct Probes {
    handle: DrainHandle,
    uncounted: Arc<AtomicUsize>,
}

impl Probes {
    pub(crate) fn new(handle: &DrainHandle) -> Self {
        Self {
            handle: handle.clone(),
            uncounted: Arc::default(),
        }
    }

    /// How many found nothing in flight although they were.
    pub(crate) fn uncounted(&self) -> usize {
        self.uncounted.load(SeqCst)
    }

    fn probe(&self) -> Probe {
        Probe(self.clone())
    }
}

struct Probe(Probes);

impl Drop for Probe {
    fn drop(&mut self) {
        if self.0.handle.in_flight() == 0 {
            self.0.uncounted.fetch_add(1, SeqCst);
        }
    }
}

/// Directly inside the layer.
pub(crate) async fn probed(State(probes): State<Probes>, request: Request, next: Next) -> Response {
    let _handler = probes.probe();
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(Probed {
            body,
            _probe: probes.probe(),
        })
    })
}

struct Probed {
    body: Body,
    _probe: Probe,
}

impl HttpBody for Probed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
