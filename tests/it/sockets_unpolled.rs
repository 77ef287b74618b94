//! Streams whose generator was made and never ran: nothing in it can release the request, so that dropping it must.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::task::{Context, Poll};

use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::Router;
use futures_util::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_drain::DrainLayer;

use crate::sockets_frames::{Frames, CANCEL};
use crate::sockets_support::{connect, drained, serve, within, Step, LONG};

/// Never yields anything, as one that waits for its first event.
struct Generator {
    polls: Arc<AtomicUsize>,
    dropped: Step,
}

impl Stream for Generator {
    type Item = Result<Event, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.dropped.pass();
    }
}

struct Seen {
    layer: DrainLayer,
    polls: Arc<AtomicUsize>,
    dropped: Step,
}

impl Seen {
    fn new() -> Self {
        Self {
            layer: DrainLayer::new(),
            polls: Arc::default(),
            dropped: Step::new(),
        }
    }

    /// Events whose handler runs `before` it returns them.
    fn app(&self, before: impl Fn() + Clone + Send + Sync + 'static) -> Router {
        let (polls, dropped) = (self.polls.clone(), self.dropped.clone());
        let events = move || async move {
            before();
            Sse::new(Generator { polls, dropped })
        };
        Router::new()
            .route("/events", get(events))
            .layer(self.layer.clone())
            .route("/", get(|| async {}))
    }

    async fn assert_released(&self) {
        self.dropped.passed().await;
        let report = drained(&self.layer.handle()).await;
        assert_eq!(report.cut, 0);
        assert_eq!(self.polls.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn a_stream_whose_generator_is_made_but_never_polled_is_released() {
    let seen = Seen::new();
    let server = serve(seen.app(|| {})).await;
    let mut client = connect(server.addr).await;
    // axum makes the whole answer to a GET, and takes its body away.
    let head = b"HEAD /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    seen.assert_released().await;
    server.returned().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_client_that_leaves_before_the_first_poll_of_its_stream_releases_it() {
    let seen = Seen::new();
    let (entered, entering) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    // In one poll, so that hyper sees that the client left only when the handler has returned.
    let server = serve(seen.app(move || {
        tokio::task::block_in_place(|| {
            entered.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(LONG).unwrap();
        });
    }))
    .await;
    let mut client = Frames::connect(server.addr, 65_535).await;
    client.get(1, "/events").await;
    let entering = tokio::task::spawn_blocking(move || entering.recv_timeout(LONG));
    within(entering).await.unwrap().unwrap();
    assert_eq!(seen.layer.handle().in_flight(), 1);
    client.reset(1, CANCEL).await;
    // Frames are read in their order: once this is answered, the reset was read.
    client.get(3, "/").await;
    assert_eq!(client.next().await.stream, 3);
    open.send(()).unwrap();
    seen.assert_released().await;
    drop(client);
    server.returned().await;
}
