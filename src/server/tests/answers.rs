//! What is told to stop with a request in flight.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, Notify};
use tokio_stream::StreamExt;
use tower::service_fn;

use super::support::*;

/// Closes the socket and stops, and returns when a connection that was idle has heard of it.
async fn stop_and_be_heard(server: &Server, addr: std::net::SocketAddr) {
    let mut idle = connect(addr).await;
    send(&mut idle, b"GET /idle HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_until(&mut idle, "\r\n\r\n").await;
    read_until(&mut idle, "idle").await;
    server.close_and_stop();
    assert_eq!(read_to_end(&mut idle).await, "");
}

fn is_idle(request: &Request<Incoming>) -> bool {
    request.uri().path() == "/idle"
}

/// A server that was told to stop, and a peer whose request waits for `go` and then gets `answer`.
async fn stopped_before_its_answer(go: &Arc<Notify>, answer: &'static str) -> (Server, TcpStream) {
    let go = go.clone();
    let (server, addr) = Server::over_tcp(service_fn(move |request| {
        let go = go.clone();
        async move {
            if is_idle(&request) {
                return text("idle");
            }
            go.notified().await;
            text(answer)
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    stop_and_be_heard(&server, addr).await;
    (server, peer)
}

#[tokio::test]
async fn a_stuck_handler_holds_the_server_until_it_is_abandoned() {
    let (mut server, addr) = Server::over_tcp(service_fn(|request| async move {
        match is_idle(&request) {
            true => text("idle"),
            false => never().await,
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    stop_and_be_heard(&server, addr).await;
    server.has_connections(1).await;
    assert!(!server.serving.is_finished());

    server.abandon();
    assert_eq!(server.returned().await, 1);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn a_slow_handler_answers_after_the_stop() {
    let go = Arc::new(Notify::new());
    let (mut server, mut peer) = stopped_before_its_answer(&go, "at last").await;

    go.notify_one();
    let answer = read_to_end(&mut peer).await;
    assert!(answer.ends_with("at last"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_silent_stream_holds_the_server_until_it_is_abandoned() {
    let (pieces, stream) = mpsc::unbounded_channel::<Bytes>();
    let stream = Arc::new(std::sync::Mutex::new(Some(stream)));
    let (mut server, addr) = Server::over_tcp(service_fn(move |request| {
        let stream = stream.clone();
        async move {
            if is_idle(&request) {
                return Ok(Response::new(Full::from("idle").boxed()));
            }
            let pieces = stream.lock().unwrap().take().unwrap();
            let pieces = tokio_stream::wrappers::UnboundedReceiverStream::new(pieces);
            let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            Ok::<_, Infallible>(Response::new(BodyExt::boxed(StreamBody::new(frames))))
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    pieces.send(Bytes::from("one")).unwrap();
    read_until(&mut peer, "one\r\n").await;
    stop_and_be_heard(&server, addr).await;
    pieces.send(Bytes::from("two")).unwrap();
    read_until(&mut peer, "two\r\n").await;
    assert!(!server.serving.is_finished());

    server.abandon();
    assert_eq!(server.returned().await, 1);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn four_mebibytes_reach_a_slow_reader_before_the_server_returns() {
    const LENGTH: usize = 4 << 20;
    let (mut server, addr) = Server::over_tcp(service_fn(|request| async move {
        match is_idle(&request) {
            true => text("idle"),
            false => text(vec![b'x'; LENGTH]),
        }
    }))
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8192).unwrap();
    let mut peer = within("a connection", socket.connect(addr)).await.unwrap();
    send(&mut peer, GET).await;
    read_until(&mut peer, "\r\n\r\n").await;
    stop_and_be_heard(&server, addr).await;

    let has_all = Arc::new(AtomicBool::new(false));
    let told = has_all.clone();
    let reader = tokio::spawn(async move {
        let (mut length, mut space) = (0, [0; 16 << 10]);
        loop {
            match peer.read(&mut space).await.unwrap() {
                0 => break,
                read => length += read,
            }
            tokio::task::yield_now().await;
        }
        told.store(true, Ordering::SeqCst);
        length
    });
    assert_eq!(server.returned().await, 0);
    assert!(has_all.load(Ordering::SeqCst), "returned before the reader");
    assert_eq!(reader.await.unwrap(), LENGTH);
}

#[tokio::test]
async fn a_peer_that_never_reads_holds_the_server_until_it_is_abandoned() {
    let (mut server, addr) = Server::over_tcp(service_fn(|request| async move {
        match is_idle(&request) {
            true => text("idle"),
            false => text(vec![b'x'; 64 << 20]),
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    within("the answer", peer.readable()).await.unwrap();
    stop_and_be_heard(&server, addr).await;
    server.has_connections(1).await;
    assert!(!server.serving.is_finished());

    server.abandon();
    assert_eq!(server.returned().await, 1);
}

#[tokio::test]
async fn an_upload_in_progress_is_received_to_its_end() {
    let (mut server, addr) = Server::over_tcp(service_fn(|request: Request<Incoming>| async {
        let is_idle = is_idle(&request);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        match is_idle {
            true => text("idle"),
            false => text(format!("received {}", body.len())),
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(
        &mut peer,
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf ",
    )
    .await;
    stop_and_be_heard(&server, addr).await;

    send(&mut peer, b"other").await;
    let answer = read_to_end(&mut peer).await;
    assert!(answer.ends_with("received 10"), "{answer}");
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (mut server, addr) =
        Server::over_tcp(service_fn(|request: Request<Incoming>| async move {
            text(request.uri().path().to_owned() + ".")
        }))
        .await;
    let mut peer = connect(addr).await;
    send(
        &mut peer,
        b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\nGET /3 HTTP/1.1\r\nhost: a\r\n\r\n",
    )
    .await;
    for path in ["/1.", "/2.", "/3."] {
        read_until(&mut peer, path).await;
    }
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn pipelined_behind_a_request_in_flight_the_others_do_not_reset_its_answer() {
    let go = Arc::new(Notify::new());
    let (mut server, mut peer) = stopped_before_its_answer(&go, "first").await;
    // More than hyper reads ahead of an answer.
    for _ in 0..4096 {
        send(&mut peer, GET).await;
    }

    go.notify_one();
    let answer = read_to_end(&mut peer).await;
    assert!(answer.ends_with("first"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.returned().await, 0);
}
