//! What a handler or a listener leaves behind panics, and ends nothing but its own connection.

use std::error::Error;
use std::fmt;
use std::future::Ready;
use std::io;
use std::panic::panic_any;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use hyper::body::Incoming;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tower::service_fn;

use super::http2::{client, get, request};
use super::support::*;
use crate::server::Accept;
use crate::BoxError;

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

/// Neither can it be told, nor does it go.
impl fmt::Display for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words")
    }
}

impl Error for Bomb {}

#[tokio::test]
async fn a_handler_that_panics_with_what_panics_in_its_drop_ends_its_connection_alone() {
    let (mut server, addr) =
        Server::over_tcp(service_fn(|request: Request<Incoming>| async move {
            match request.uri().path() {
                "/bomb" => panic_any(Bomb),
                _ => text("hello"),
            }
        }))
        .await;
    for _ in 0..3 {
        let mut peer = connect(addr).await;
        send(&mut peer, b"GET /bomb HTTP/1.1\r\nhost: a\r\n\r\n").await;
        is_dropped(&mut peer).await;
        let mut peer = connect(addr).await;
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
    }
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_stream_that_panics_with_what_panics_in_its_drop_ends_alone() {
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |request: Request<Incoming>| {
        let gone = gone.clone();
        async move {
            match request.uri().path() {
                "/bomb" => panic_any(Bomb),
                "/slow" => gone.notified().await,
                _ => {}
            }
            text("hello")
        }
    }))
    .await;
    let (mut client, _connection) = client(connect(addr).await).await;
    let slow = tokio::spawn(client.send_request(request("/slow")));
    for _ in 0..3 {
        let bomb = within("a reset", client.send_request(request("/bomb"))).await;
        assert!(bomb.is_err());
        // Its task is looked at when the next one comes.
        assert_eq!(get(&mut client, "/").await, "hello");
    }
    server.close_and_stop();
    go.notify_one();
    assert!(within("the slow answer", slow).await.unwrap().is_ok());
    // One more that is not looked at before the end.
    drop(client);
    assert_eq!(server.returned().await, 0);
}

/// Does something else than to accept, once; and is a listener that works but for that.
struct Ill {
    pipes: Pipes,
    once: Option<fn() -> io::Result<Accepted>>,
    once_in_backlog: Option<fn() -> io::Result<Accepted>>,
    panics_in_close: bool,
}

type Accepted = (Ready<Result<DuplexStream, BoxError>>, &'static str);

fn panics() -> io::Result<Accepted> {
    panic_any(Bomb)
}

fn fails() -> io::Result<Accepted> {
    Err(io::Error::new(io::ErrorKind::Other, Bomb))
}

impl Ill {
    fn new() -> (PipeSender, Self) {
        let (sender, pipes) = Pipes::new();
        let listener = Self {
            pipes,
            once: None,
            once_in_backlog: None,
            panics_in_close: false,
        };
        (sender, listener)
    }
}

impl Accept for Ill {
    type Io = DuplexStream;
    type Addr = &'static str;
    type Handshake = Ready<Result<DuplexStream, BoxError>>;
    type Backlog = IllBacklog;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self.once.take() {
            Some(once) => Poll::Ready(once()),
            None => self.pipes.poll_accept(cx),
        }
    }

    fn close(self) -> IllBacklog {
        if self.panics_in_close {
            panic_any(Bomb);
        }
        IllBacklog {
            once: self.once_in_backlog,
            rest: self.pipes.close(),
            _bomb: Bomb,
        }
    }
}

struct IllBacklog {
    once: Option<fn() -> io::Result<Accepted>>,
    rest: PipesBacklog,
    _bomb: Bomb,
}

impl Iterator for IllBacklog {
    type Item = io::Result<Accepted>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.once.take() {
            Some(once) => Some(once()),
            None => self.rest.next(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_or_fails_badly_is_asked_again_after_a_pause() {
    for once in [panics, fails] {
        let (pipes, mut listener) = Ill::new();
        listener.once = Some(once);
        listener.once_in_backlog = Some(once);
        let (mut waiting, queued) = tokio::io::duplex(4096);
        listener.pipes.backlog.push_back(Ok(queued));
        let mut server = Server::on(listener, hello());
        let mut peer = pipe(&pipes);
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;

        send(&mut waiting, GET).await;
        server.close_and_stop();
        let answer = read_to_end(&mut waiting).await;
        assert!(answer.ends_with("hello"), "{answer}");
        assert_eq!(server.returned().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_when_it_closes_has_no_backlog() {
    let (pipes, mut listener) = Ill::new();
    listener.panics_in_close = true;
    let mut server = Server::on(listener, hello());
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_by_an_error_that_panics_ends_its_connection_alone() {
    let (pipes, listener) = Pipes::new();
    let listener = listener.handshake(|_| async { Err::<DuplexStream, BoxError>(Box::new(Bomb)) });
    let mut server = Server::on(listener, hello());
    for _ in 0..2 {
        is_dropped(&mut pipe(&pipes)).await;
    }
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}
