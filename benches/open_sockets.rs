//! Open event streams over sockets: from the begin of a drain to the last client that has the goodbye and the end,
//! beside what is wired by hand from a `CancellationToken` and a `TaskTracker`.
//!
//! `cargo bench --features stream --bench open_sockets`. The clients are a process of their own: a limit of 20 000 open
//! files is common. Best of some rounds in which the two take turns.

mod common;

use std::convert::Infallible;
use std::env;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::Router;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::CONTENT_TYPE;
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_drain::{DrainLayer, Goodbye, StreamHead, StreamPolicy};

use common::report::{Report, Target};

const STREAMS: usize = 10_000;
const ROUNDS: usize = 5;
const EVENT: &[u8] = b"data: one\n\n";
const GOODBYE: &[u8] = b"event: goodbye\ndata: bye\n\n";

fn event_stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(events.map(Ok::<_, Infallible>));
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// One event, and then nothing.
fn endless() -> impl Stream<Item = Bytes> + Send {
    stream::iter([Bytes::from_static(EVENT)]).chain(stream::pending())
}

async fn policy() -> Duration {
    let layer = DrainLayer::new()
        .stream_policy(|_: &StreamHead<'_>| StreamPolicy::End)
        .goodbye(Goodbye::raw(GOODBYE));
    let handle = layer.handle();
    let app = Router::new().route("/events", get(|| async { event_stream(endless()) }));
    let drained = handle.wait_for_drain(Duration::MAX);
    let time = told(app.layer(layer), || assert!(handle.begin_shutdown())).await;
    drained.await.expect("nobody resumes");
    time
}

async fn by_hand() -> Duration {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let (stop, counter) = (token.clone(), tracker.clone());
    let events = move || {
        let (stop, held) = (stop.clone().cancelled_owned(), counter.token());
        let goodbye = stream::once(async move {
            let _held = held;
            Bytes::from_static(GOODBYE)
        });
        async { event_stream(endless().take_until(stop).chain(goodbye)) }
    };
    let app = Router::new().route("/events", get(events));
    let time = told(app, || {
        token.cancel();
    })
    .await;
    tracker.close();
    tracker.wait().await;
    time
}

/// Lets the clients open their streams, begins, and waits until each has its goodbye and the end.
async fn told(app: Router, begin: impl FnOnce()) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let itself = env::current_exe().expect("a bench has a path");
    let mut clients = Command::new(itself)
        .arg(address.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the clients start");
    let output = clients.stdout.take().expect("it is piped");
    let mut said = BufReader::new(output).lines();
    let mut says = async |word: &str| {
        let line = said.next_line().await.expect("it is text");
        assert_eq!(line.as_deref(), Some(word));
    };
    says("open").await;
    let start = Instant::now();
    begin();
    says("told").await;
    let time = start.elapsed();
    server.abort();
    time
}

async fn clients(address: &str) {
    let mut clients = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let request = b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write_all(request).await.expect("it reads");
        read_until(&mut client, EVENT).await;
        clients.push(client);
    }
    println!("open");
    let ends = clients.into_iter().map(|mut client| {
        tokio::spawn(async move { read_until(&mut client, b"data: bye\n\n\r\n0\r\n\r\n").await })
    });
    for end in join_all(ends).await {
        end.expect("no panic");
    }
    println!("told");
}

async fn read_until(client: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::with_capacity(256);
    while !read.windows(end.len()).any(|bytes| bytes == end) {
        let count = client.read_buf(&mut read).await.expect("it is open");
        assert!(
            count > 0,
            "it ended with {:?}",
            String::from_utf8_lossy(&read)
        );
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("it may be raised so far");
    match &arguments[..] {
        [only] if only == "--bench" => {}
        [address] => return clients(address).await,
        _ => return,
    }
    let (mut hand, mut ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        hand = hand.min(by_hand().await);
        ours = ours.min(policy().await);
    }
    let mut report = Report::new("open_sockets");
    let what = format!("{STREAMS} sockets, by hand: ms to the last goodbye");
    report.row(&what, hand.as_secs_f64() * 1000.0, 0, Target::None);
    let what = format!("{STREAMS} sockets, policy and goodbye: time, of by hand's");
    let ratio = ours.as_secs_f64() / hand.as_secs_f64();
    report.row(&what, ratio, 2, Target::AtMost(1.0, 1.5));
}
