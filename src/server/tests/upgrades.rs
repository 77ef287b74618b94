//! What was HTTP and is its taker's.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::service_fn;

use super::support::*;

async fn echo(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let is_connect = request.method() == Method::CONNECT;
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    });
    let mut response = Response::new(Empty::new());
    if !is_connect {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert("connection", "upgrade".parse().unwrap());
        headers.insert("upgrade", "echo".parse().unwrap());
    }
    Ok(response)
}

#[tokio::test]
async fn an_upgraded_connection_outlives_the_server() {
    let (mut server, addr) = Server::over_tcp(service_fn(echo)).await;
    let mut peer = connect(addr).await;
    send(
        &mut peer,
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
    )
    .await;
    let head = read_until(&mut peer, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    server.has_connections(1).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    send(&mut peer, b"still here").await;
    read_until(&mut peer, "still here").await;
    // Its end is as it would be without a server that was told to stop.
    peer.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut peer).await, "");
}

/// A tunnel through HTTP/2 as the client has it.
async fn tunnel(io: DuplexStream) -> TokioIo<hyper::upgrade::Upgraded> {
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io));
    let (mut client, connection) = within("a handshake", handshake).await.unwrap();
    tokio::spawn(connection);
    let request = Request::connect("a:80")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = within("an answer", client.send_request(request)).await;
    let upgraded = hyper::upgrade::on(answer.unwrap());
    TokioIo::new(within("a tunnel", upgraded).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_through_http2_stays_until_the_drain_is_over() {
    let (pipes, listener) = Pipes::new();
    let mut server = Server::on(listener, service_fn(echo));
    let mut tunnel = tunnel(pipe(&pipes)).await;
    let guard = server.handle.try_guard().unwrap();
    send(&mut tunnel, b"before").await;
    read_until(&mut tunnel, "before").await;

    server.close_and_stop();
    // Longer than an idle connection is given.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    send(&mut tunnel, b"after the stop").await;
    read_until(&mut tunnel, "after the stop").await;
    server.handle.begin_shutdown();
    send(&mut tunnel, b"while it is held").await;
    read_until(&mut tunnel, "while it is held").await;
    assert!(!server.serving.is_finished());

    drop(guard);
    assert_eq!(server.returned().await, 0);
    let mut rest = Vec::new();
    let _ = within("the end", tunnel.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_through_http2_that_ends_ends_its_connection() {
    let (pipes, listener) = Pipes::new();
    let mut server = Server::on(listener, service_fn(echo));
    let mut tunnel = tunnel(pipe(&pipes)).await;
    server.close_and_stop();
    send(&mut tunnel, b"after the stop").await;
    read_until(&mut tunnel, "after the stop").await;
    assert!(!server.serving.is_finished());
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut tunnel).await, "");
    drop(tunnel);
    assert_eq!(server.returned().await, 0);
}
