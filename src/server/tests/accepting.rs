//! Listeners of every kind, and the moment in which they close.

use std::io::{Read, Write};
use std::net::SocketAddr;

use http::Request;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tower::service_fn;

use super::support::*;
use crate::server::{Accept, PeerAddr};
use crate::BoxError;

#[tokio::test]
async fn connections_in_the_backlog_when_the_socket_closes_are_served() {
    const PEERS: usize = 100;
    let (mut server, addr) = Server::over_tcp(hello()).await;
    // The server has waited in vain before they come, and does not run until the stop.
    let mut first = connect(addr).await;
    send(&mut first, GET).await;
    read_until(&mut first, "hello").await;
    let peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let peer = std::net::TcpStream::connect(addr).unwrap();
            (&peer).write_all(GET).unwrap();
            peer
        })
        .collect();
    server.close_and_stop();

    assert_eq!(server.returned().await, 0);
    for mut peer in peers {
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_was_just_let_in_may_send_its_request_after_the_stop() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let peer = std::net::TcpStream::connect(addr).unwrap();
    server.close_and_stop();
    server.has_connections(1).await;

    peer.set_nonblocking(true).unwrap();
    let mut peer = TcpStream::from_std(peer).unwrap();
    send(&mut peer, GET).await;
    let answer = read_to_end(&mut peer).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn the_socket_counts_until_its_backlog_is_accepted() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    assert_eq!(*server.connections.borrow(), 1);
    let _peer = std::net::TcpStream::connect(addr).unwrap();
    server.close_socket();
    // 2, then 1; never 0 while the peer waits.
    let mut seen = vec![1];
    while *seen.last().unwrap() != 1 || seen.len() == 1 {
        within("a change", server.connections.changed())
            .await
            .unwrap();
        seen.push(*server.connections.borrow_and_update());
    }
    assert!(!seen.contains(&0), "{seen:?}");
}

#[tokio::test]
async fn a_unix_socket_is_served_with_its_backlog() {
    let directory = std::env::temp_dir().join(format!("tower-drain-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("served.sock");
    let _ = std::fs::remove_file(&path);
    let app = service_fn(|request: Request<Incoming>| async move {
        let PeerAddr(peer) = request
            .extensions()
            .get::<PeerAddr<std::os::unix::net::SocketAddr>>()
            .unwrap();
        text(format!("unnamed {}", peer.is_unnamed()))
    });
    let mut server = Server::on(UnixListener::bind(&path).unwrap(), app);
    let mut peer = UnixStream::connect(&path).await.unwrap();
    send(&mut peer, GET).await;
    read_until(&mut peer, "unnamed true").await;

    let mut queued = std::os::unix::net::UnixStream::connect(&path).unwrap();
    queued.write_all(GET).unwrap();
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    let mut answer = String::new();
    queued.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("unnamed true"), "{answer}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn a_handler_sees_where_its_peer_is_beside_what_hyper_tells_it() {
    let (_server, addr) = Server::over_tcp(service_fn(|request: Request<Incoming>| async move {
        let PeerAddr(peer) = request.extensions().get::<PeerAddr>().unwrap();
        let upgrades = request.extensions().get::<OnUpgrade>().is_some();
        text(format!("{peer} {upgrades}."))
    }))
    .await;
    let mut peer = connect(addr).await;
    let own = peer.local_addr().unwrap();
    send(&mut peer, GET).await;
    read_until(&mut peer, &format!("{own} false.")).await;
    let upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: a\r\n\r\n";
    send(&mut peer, upgrade).await;
    read_until(&mut peer, &format!("{own} true.")).await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_router_of_axum_is_served_with_its_connect_info() {
    use axum::extract::ConnectInfo;
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
            format!("{peer}.")
        }),
    );
    let (mut server, addr) = Server::over_tcp(app).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    let own = peer.local_addr().unwrap();
    read_until(&mut peer, &format!("{own}.")).await;
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

/// Every one of them would go through what all clones of the layer share.
#[cfg(feature = "axum")]
#[tokio::test]
async fn the_layers_of_a_router_are_put_around_its_fallback_once_and_not_per_request() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    let layered = Arc::new(AtomicUsize::new(0));
    let count = layered.clone();
    let layer = tower::layer::layer_fn(move |inner: axum::routing::Route| {
        count.fetch_add(1, Ordering::Relaxed);
        inner
    });
    let app = axum::Router::new()
        .fallback(|| async { "hello" })
        .layer(layer);
    let (_server, addr) = Server::over_tcp(app).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    let before = layered.load(Ordering::Relaxed);
    for _ in 0..3 {
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
    }
    assert_eq!(layered.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_handshake_that_hangs_or_fails_holds_up_nobody() {
    async fn shake(tcp: TcpStream) -> Result<TcpStream, BoxError> {
        let mut first = [0];
        tcp.readable().await?;
        tcp.peek(&mut first).await?;
        match &first {
            b"!" => Err("no handshake".into()),
            _ => Ok(tcp),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = Server::on(listener.handshake(shake), hello());
    let mut hanging = connect(addr).await;
    let mut failing = connect(addr).await;
    send(&mut failing, b"!").await;
    is_dropped(&mut failing).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;

    let mut queued = std::net::TcpStream::connect(addr).unwrap();
    queued.write_all(GET).unwrap();
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut hanging).await;
    let mut answer = String::new();
    queued.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn an_answer_does_not_wait_for_an_acknowledgement() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _peer = connect(listener.local_addr().unwrap()).await;
    let accepted = std::future::poll_fn(|cx| Accept::poll_accept(&mut listener, cx));
    let (handshake, _) = within("a connection", accepted).await.unwrap();
    assert!(handshake.await.unwrap().nodelay().unwrap());
}
