//! Thousands of requests that end in every way there is, over both protocols, while drains begin, are cut and taken
//! back: the count is exact at the end.
//!
//! `TOWER_DRAIN_STORM_SEED` repeats a run; the seed of each is printed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{stream, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Layer;
use tower_drain::{BoxError, DrainHandle, DrainLayer};
use tower_http::timeout::TimeoutLayer;

use crate::sockets_support::{connect, drained, h2, h2_request, serve_hyper, within, H2};

const H1_CLIENTS: usize = 8;
const H1_REQUESTS: usize = 600;
const H2_CLIENTS: usize = 4;
const H2_BATCHES: usize = 200;
const H2_BATCH: usize = 8;
const REQUESTS: usize = H1_CLIENTS * H1_REQUESTS + H2_CLIENTS * H2_BATCHES * H2_BATCH;

/// What a request asks for; its answer ends thus unless the client, a timeout or a cut is faster.
const PATHS: [&str; 8] = [
    "/text", "/text", "/chunks", "/later", "/endless", "/never", "/panic", "/error",
];

async fn answer(path: String) -> Result<Response<Body>, BoxError> {
    let chunks = || {
        stream::iter(0..5).then(|_| async {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(Bytes::from("chunk"))
        })
    };
    let body = match &*path {
        "/text" => Body::from("text"),
        "/chunks" => Body::from_stream(chunks()),
        "/later" => {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            Body::from("later")
        }
        "/endless" => Body::from_stream(chunks().chain(stream::pending())),
        "/never" => std::future::pending().await,
        // Without the message a panic prints.
        "/panic" => std::panic::resume_unwind(Box::new("a panic that is meant")),
        _ => {
            let error = stream::once(async { Err("a body error that is meant".into()) });
            Body::from_stream(chunks().chain(error))
        }
    };
    Ok(Response::new(body))
}

/// What the clients saw, to show that the storm was one.
#[derive(Debug, Default)]
struct Seen {
    whole: AtomicU64,
    rejected: AtomicU64,
    cut: AtomicU64,
    timed_out: AtomicU64,
    broken: AtomicU64,
    left_early: AtomicU64,
    left_mid_body: AtomicU64,
}

impl Seen {
    fn status(&self, status: u16) {
        match status {
            503 => add(&self.rejected),
            500 => add(&self.cut),
            408 => add(&self.timed_out),
            _ => {}
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

struct Storm {
    addr: SocketAddr,
    handle: DrainHandle,
    seen: Seen,
    asked: AtomicU64,
}

impl Storm {
    /// Every so many requests the drain's state changes, so that the mix needs no clock.
    fn steer(&self) {
        let handle = &self.handle;
        match self.asked.fetch_add(1, Ordering::Relaxed) % 200 {
            120 => drop(handle.begin_lame_duck()),
            140 => drop(handle.begin_shutdown()),
            150 | 180 => drop(handle.cut()),
            160 => self.resume(),
            _ => {}
        }
    }

    fn resume(&self) {
        if let Some(nonce) = self.handle.nonce() {
            // Another client may have been faster.
            let _ = self.handle.resume(nonce);
        }
    }

    /// One after another on a connection for as long as it lasts.
    async fn over_h1(self: Arc<Self>, mut random: fastrand::Rng) {
        let mut open = None;
        for _ in 0..H1_REQUESTS {
            self.steer();
            let path = random.choice(PATHS).unwrap();
            let connection = match open.take() {
                Some(connection) => connection,
                None => connect(self.addr).await,
            };
            open = self.ask_h1(connection, path, &mut random).await;
        }
    }

    /// The connection, if it can be used again.
    async fn ask_h1(
        &self,
        mut connection: TcpStream,
        path: &str,
        random: &mut fastrand::Rng,
    ) -> Option<TcpStream> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        connection.write_all(request.as_bytes()).await.ok()?;
        let patience = random.u8(..4);
        if patience == 0 {
            for _ in 0..random.u8(..20) {
                tokio::task::yield_now().await;
            }
            add(&self.seen.left_early);
            return leave(connection, random);
        }
        let mut answer = Vec::new();
        loop {
            let read = within(connection.read_buf(&mut answer)).await;
            let text = String::from_utf8_lossy(&answer);
            if read.is_err() || read.is_ok_and(|read| read == 0) {
                self.seen.status(status(&text));
                add(&self.seen.broken);
                return None;
            }
            if text.contains("\r\n\r\n")
                && (patience == 1 || path == "/endless")
                && text.ends_with("chunk\r\n")
            {
                add(&self.seen.left_mid_body);
                return leave(connection, random);
            }
            if is_whole(&text) && !text.contains("connection: close\r\n") {
                self.seen.status(status(&text));
                add(&self.seen.whole);
                return Some(connection);
            }
        }
    }

    /// A batch at a time, all its streams at once; a new connection where the old one was lost.
    async fn over_h2(self: Arc<Self>, mut random: fastrand::Rng) {
        let (mut client, mut connection) = h2(self.addr).await;
        for _ in 0..H2_BATCHES {
            if random.u8(..20) == 0 || client.is_closed() {
                connection.abort();
                (client, connection) = h2(self.addr).await;
            }
            let batch = (0..H2_BATCH).map(|_| {
                self.steer();
                let path = random.choice(PATHS).unwrap();
                self.ask_h2(client.clone(), path, random.u8(..4), random.u8(..20))
            });
            join_all(batch).await;
        }
    }

    async fn ask_h2(&self, mut client: H2, path: &str, patience: u8, yields: u8) {
        let sent = client.send_request(h2_request("GET", path));
        if patience == 0 {
            let yields = stream::iter(0..yields).for_each(|_| tokio::task::yield_now());
            tokio::select! {
                _ = sent => {}
                () = yields => add(&self.seen.left_early),
            }
            return;
        }
        let Ok(response) = within(sent).await else {
            return add(&self.seen.broken);
        };
        self.seen.status(response.status().as_u16());
        let mut body = response.into_body();
        loop {
            match within(body.frame()).await {
                None => return add(&self.seen.whole),
                Some(Err(_)) => return add(&self.seen.broken),
                Some(Ok(_)) if patience == 1 || path == "/endless" => {
                    return add(&self.seen.left_mid_body);
                }
                Some(Ok(_)) => {}
            }
        }
    }
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// By its framing (RFC 9112, section 6.3).
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    match head.split_once("content-length: ") {
        Some((_, length)) => {
            let length = length.lines().next().unwrap().parse();
            length == Ok(body.len())
        }
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// By FIN or by RST.
fn leave(connection: TcpStream, random: &mut fastrand::Rng) -> Option<TcpStream> {
    if random.bool() {
        connection.set_zero_linger().unwrap();
    }
    None
}

fn seed() -> u64 {
    let seed = match std::env::var("TOWER_DRAIN_STORM_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("TOWER_DRAIN_STORM_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_storm_of_requests_that_end_in_every_way_nothing_is_in_flight() {
    let mut random = fastrand::Rng::with_seed(seed());
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let inner =
        tower::service_fn(|request: Request<Incoming>| answer(request.uri().path().to_owned()));
    let wait = Duration::from_millis(10);
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, wait);
    let storm = Arc::new(Storm {
        addr: serve_hyper(timeout.layer(layer.layer(inner))).await,
        handle: handle.clone(),
        seen: Seen::default(),
        asked: AtomicU64::new(0),
    });
    let mut clients = Vec::new();
    for _ in 0..H1_CLIENTS {
        clients.push(tokio::spawn(storm.clone().over_h1(random.fork())));
    }
    for _ in 0..H2_CLIENTS {
        clients.push(tokio::spawn(storm.clone().over_h2(random.fork())));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(storm.asked.load(Ordering::Relaxed), REQUESTS as u64);
    let seen = &storm.seen;
    println!("{seen:?}");
    for count in [
        &seen.whole,
        &seen.rejected,
        &seen.cut,
        &seen.timed_out,
        &seen.broken,
        &seen.left_early,
        &seen.left_mid_body,
    ] {
        assert!(count.load(Ordering::Relaxed) > 50, "too tame: {seen:?}");
    }
    drained(&handle).await;
    storm.resume();
    assert_eq!(handle.in_flight(), 0);
}
