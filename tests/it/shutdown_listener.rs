//! A socket that closes apart from its connections.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use axum::routing::get;
use axum::serve::Listener;
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_test::{assert_pending, task};
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, DrainListener, Phase, Shutdown, ShutdownReport,
    StopAccepting, Timeouts,
};

const GENEROUS: Duration = Duration::from_secs(30);

/// Goes through a whole sequence without a server; `accept_closed` is latched from then on.
async fn close(handle: &DrainHandle) {
    let zero = Duration::ZERO;
    Shutdown::new(handle.clone())
        .timeouts(Timeouts::default().lame_duck(zero).settle(zero))
        .trigger(async { "test".into() })
        .run(|stop| async move {
            stop.await;
            Ok::<_, BoxError>(())
        })
        .await
        .unwrap();
}

async fn request(stream: &mut TcpStream) -> io::Result<String> {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut part = [0; 1024];
        match timeout(GENEROUS, stream.read(&mut part))
            .await
            .expect("an answer")?
        {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => answer.extend(&part[..length]),
        }
    }
    Ok(String::from_utf8(answer).unwrap())
}

async fn refused(addr: SocketAddr) {
    let attempts = async {
        while let Ok(stream) = TcpStream::connect(addr).await {
            // Accepted in the moment of the close.
            drop(stream);
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, attempts)
        .await
        .expect("the socket to close");
}

#[tokio::test]
async fn the_backlog_is_accepted_and_then_clients_are_refused() {
    let handle = DrainHandle::new();
    let mut listener = DrainListener::bind("127.0.0.1:0", &handle).await.unwrap();
    let addr = DrainListener::local_addr(&listener);
    let first = TcpStream::connect(addr).await.unwrap();
    let second = TcpStream::connect(addr).await.unwrap();
    close(&handle).await;

    let (_, peer) = timeout(GENEROUS, listener.accept()).await.unwrap();
    assert_eq!(peer, first.local_addr().unwrap());
    let (mut accepted, peer) = timeout(GENEROUS, listener.accept()).await.unwrap();
    assert_eq!(peer, second.local_addr().unwrap());
    accepted.write_all(b"usable").await.unwrap();

    let mut next = task::spawn(listener.accept());
    assert_pending!(next.poll());
    let refused = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop(next);
    assert_eq!(Listener::local_addr(&listener).unwrap(), addr);
}

#[tokio::test]
async fn an_accept_that_waits_closes_the_socket_by_itself() {
    let handle = DrainHandle::new();
    let mut listener = DrainListener::bind("127.0.0.1:0", &handle).await.unwrap();
    let addr = DrainListener::local_addr(&listener);
    let accepting = tokio::spawn(async move {
        loop {
            listener.accept().await;
        }
    });
    tokio::task::yield_now().await;
    close(&handle).await;
    refused(addr).await;
    accepting.abort();
}

/// Serves with axum and closes the socket first of all. The lame duck is longer than a test, which ends in it.
fn serve_in_a_lame_duck<L>(
    layer: DrainLayer,
    listener: L,
) -> JoinHandle<Result<ShutdownReport, BoxError>>
where
    L: Listener,
    L::Addr: Debug,
{
    let shutdown = Shutdown::new(layer.handle())
        .timeouts(Timeouts::default().lame_duck(GENEROUS * 2).drain(GENEROUS))
        .stop_accepting(StopAccepting::AtLameDuck);
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layer);
    tokio::spawn(shutdown.run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)))
}

#[tokio::test]
async fn connections_of_axum_are_served_in_the_lame_duck_after_the_socket_closed() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let listener = DrainListener::bind("127.0.0.1:0", &handle).await.unwrap();
    let addr = DrainListener::local_addr(&listener);
    let run = serve_in_a_lame_duck(layer, listener);
    let mut stream = TcpStream::connect(addr).await.unwrap();
    assert!(!request(&mut stream)
        .await
        .unwrap()
        .contains("connection: close"));

    handle.request_exit("test");
    refused(addr).await;
    assert_eq!(handle.phase(), Phase::LameDuck);
    let answer = request(&mut stream).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    run.abort();
}

#[tokio::test]
async fn a_socket_of_axums_own_stays_open_until_its_connections_are_told() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let run = serve_in_a_lame_duck(layer, listener);
    handle.request_exit("test");
    handle.accept_closed().await;
    let mut late = TcpStream::connect(addr).await.unwrap();
    let answer = request(&mut late).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    run.abort();
}
