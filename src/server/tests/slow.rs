//! Peers that are slow, before the stop and after it, and carriers that say nothing of them.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::service_fn;

use super::support::*;

/// Its end says that it sends no more, and not that it has read everything.
#[tokio::test]
async fn a_peer_that_ends_its_side_still_gets_the_rest() {
    const LENGTH: usize = 1 << 20;
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |request: Request<Incoming>| {
        let go = go.clone();
        async move {
            let is_large = request.uri().path() == "/large";
            if is_large {
                go.notified().await;
            }
            text(vec![b'x'; if is_large { LENGTH } else { 1 }])
        }
    }))
    .await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut peer = within("a connection", socket.connect(addr)).await.unwrap();
    send(&mut peer, b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.stop_and_be_heard().await;
    gone.notify_one();
    // The whole response fits into the send queue, so the server is done with it when it has begun.
    read_until(&mut peer, "\r\n\r\n").await;
    peer.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!server.serving.is_finished(), "it is not read yet");
    assert_eq!(read_to_end(&mut peer).await.len(), LENGTH);
    assert_eq!(server.returned().await, 0);
}

/// Sends `head`, reads the head of the response and no more of it.
async fn slow_peer(addr: std::net::SocketAddr, head: &[u8]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut peer = within("a connection", socket.connect(addr)).await.unwrap();
    send(&mut peer, head).await;
    read_until(&mut peer, "\r\n\r\n").await;
    peer
}

/// The server has closed the first long ago when it is told to stop. The second has ended its side before.
#[tokio::test]
async fn a_peer_that_was_slow_before_the_stop_is_waited_for_as_well() {
    const LENGTH: usize = 200_000;
    const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let app = service_fn(|_| async { text(vec![b'x'; LENGTH]) });
    let (mut server, addr) = Server::over_tcp(app).await;
    let mut closed = slow_peer(addr, CLOSE).await;
    let mut ended = slow_peer(addr, GET).await;
    ended.shutdown().await.unwrap();
    // Longer than a silent peer is waited for.
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.has_connections(3).await;
    server.close_and_stop();
    assert_eq!(read_to_end(&mut closed).await.len(), LENGTH);
    server.has_connections(1).await;
    assert!(!server.serving.is_finished(), "it is not read yet");
    assert_eq!(read_to_end(&mut ended).await.len(), LENGTH);
    assert_eq!(server.returned().await, 0);
}

/// A pipe says nothing of its peer, and one with room for everything is never slow.
#[tokio::test(start_paused = true)]
async fn of_an_unknown_peer_only_a_small_response_is_taken_to_have_arrived() {
    for (length, unflushed) in [(1000, 0), (100_000, 1)] {
        let (pipes, listener) = Pipes::new();
        let app = service_fn(move |_| async move { text(vec![b'x'; length]) });
        let mut server = Server::on(listener, app);
        let (mut peer, large) = tokio::io::duplex(1 << 20);
        pipes.send(Ok(large)).unwrap();
        send(&mut peer, GET).await;
        read_until(&mut peer, "\r\n\r\n").await;
        let stopped = tokio::time::Instant::now();
        server.close_and_stop();
        assert_eq!(server.returned().await, unflushed, "{length}");
        assert_eq!(stopped.elapsed().as_secs(), 5);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_unix_socket_has_taken_has_arrived() {
    const LENGTH: usize = 100_000;
    let path = std::env::temp_dir().join(format!("tower-drain-{}", fastrand::u64(..)));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = service_fn(|_| async { text(vec![b'x'; LENGTH]) });
    let mut server = Server::on(listener, app);
    let mut peer = tokio::net::UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    send(&mut peer, GET).await;
    read_until(&mut peer, "\r\n\r\n").await;
    let stopped = std::time::Instant::now();
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    assert!(stopped.elapsed() < Duration::from_secs(4));
    assert_eq!(read_to_end(&mut peer).await.len(), LENGTH);
}

/// Reads everything, acknowledges what HTTP/2 wants acknowledged, and never closes.
async fn acknowledges(mut peer: TcpStream) {
    let mut head = [0; 9];
    while tokio::io::AsyncReadExt::read_exact(&mut peer, &mut head)
        .await
        .is_ok()
    {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        let read = tokio::io::AsyncReadExt::read_exact(&mut peer, &mut payload).await;
        if read.is_err() {
            break;
        }
        let (kind, flags) = (head[3], head[4]);
        if matches!(kind, 4 | 6) && flags == 0 {
            let payload = if kind == 6 { payload } else { Vec::new() };
            let ack = [
                &[0, 0, payload.len() as u8, kind, 1, 0, 0, 0, 0][..],
                &payload,
            ]
            .concat();
            if peer.write_all(&ack).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

#[tokio::test]
async fn a_peer_of_http2_that_answers_a_ping_has_everything_though_it_never_closes() {
    let (called, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (calls, gone) = (called.clone(), go.clone());
    let (mut server, addr) = Server::over_tcp(service_fn(move |request: Request<Incoming>| {
        let (called, go) = (called.clone(), go.clone());
        async move {
            if request.version() == http::Version::HTTP_2 {
                called.notify_one();
                go.notified().await;
            }
            text("hello")
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let head = [0x82, 0x84, 0x86, 0x41, 1, b'a'];
    send(&mut peer, &[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]).await;
    send(&mut peer, &head).await;
    tokio::spawn(acknowledges(peer));
    within("a call", calls.notified()).await;
    server.stop_and_be_heard().await;
    gone.notify_one();
    let answered = std::time::Instant::now();
    assert_eq!(server.returned().await, 0);
    let silence = crate::server::closing::LINGER;
    assert!(answered.elapsed() < silence, "{:?}", answered.elapsed());
}
