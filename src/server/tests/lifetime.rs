//! Nothing outlives the server, and nothing that one request does hurts the others.

use std::convert::Infallible;
use std::sync::{mpsc, Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tower::service_fn;

use super::support::*;

#[tokio::test]
async fn dropping_the_server_drops_its_socket_and_connections() {
    let called = Arc::new(Notify::new());
    let calls = called.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |_| {
        let called = called.clone();
        async move {
            called.notify_one();
            never::<Result<Response<Full<Bytes>>, Infallible>>().await
        }
    }))
    .await;
    let mut busy = connect(addr).await;
    send(&mut busy, GET).await;
    within("a call", calls.notified()).await;
    let mut unused = connect(addr).await;
    server.has_connections(3).await;

    server.serving.abort();
    is_dropped(&mut busy).await;
    is_dropped(&mut unused).await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_panic_ends_its_connection_alone() {
    let (mut server, addr) =
        Server::over_tcp(service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.uri().path(), "/", "this panic is the test's");
            text("hello")
        }))
        .await;
    let mut peer = connect(addr).await;
    send(&mut peer, b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    is_dropped(&mut peer).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn an_error_of_the_service_ends_its_connection_alone() {
    let (mut server, addr) =
        Server::over_tcp(service_fn(|request: Request<Incoming>| async move {
            match request.uri().path() {
                "/" => Ok(text("hello").unwrap()),
                path => Err(format!("no {path}")),
            }
        }))
        .await;
    let mut peer = connect(addr).await;
    send(&mut peer, b"GET /error HTTP/1.1\r\nhost: a\r\n\r\n").await;
    is_dropped(&mut peer).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn abandoned_before_anything_else_it_returns_at_once() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    server.has_connections(2).await;
    server.abandon();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_does_not_hold_the_end() {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let called = Arc::new(Notify::new());
    let calls = called.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |_| {
        let (blocked, called) = (blocked.clone(), called.clone());
        async move {
            called.notify_one();
            let _ = blocked.lock().unwrap().recv();
            text("too late")
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    within("a call", calls.notified()).await;
    server.close_and_stop();
    server.abandon();
    assert_eq!(server.returned().await, 1);
    drop(release);
}
