//! What reaches the peer, and what it is told when it does not.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, Notify};
use tokio_stream::StreamExt;
use tower::service_fn;

use super::support::*;

type Pieces = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

/// A server with one response that is made of what is sent.
async fn streaming(head: &'static [u8]) -> (Server, Pieces, TcpStream) {
    let (pieces, stream): (Pieces, _) = mpsc::unbounded_channel();
    let stream = Arc::new(std::sync::Mutex::new(Some(stream)));
    let (server, addr) = Server::over_tcp(service_fn(move |_| {
        let stream = stream.lock().unwrap().take();
        async move {
            let body = match stream {
                None => Full::from("hello").map_err(|never| match never {}).boxed(),
                Some(pieces) => {
                    let pieces = tokio_stream::wrappers::UnboundedReceiverStream::new(pieces);
                    BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
                }
            };
            Ok::<_, Infallible>(Response::new(body))
        }
    }))
    .await;
    let mut peer = connect(addr).await;
    send(&mut peer, head).await;
    pieces.send(Ok(Bytes::from("half of it"))).unwrap();
    read_until(&mut peer, "half of it").await;
    (server, pieces, peer)
}

async fn is_reset(peer: &mut TcpStream) {
    let mut byte = [0];
    let read = within("the end", peer.read(&mut byte)).await;
    let error = read.expect_err("a clean end passes for the end of the response");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

const GET_10: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

#[tokio::test]
async fn a_body_of_http_1_0_that_breaks_ends_in_a_reset() {
    let (_server, pieces, mut peer) = streaming(GET_10).await;
    let broken = std::io::Error::other("broken");
    pieces.send(Err(broken)).unwrap();
    is_reset(&mut peer).await;
}

#[tokio::test]
async fn a_body_of_http_1_0_that_is_abandoned_ends_in_a_reset() {
    let (mut server, _pieces, mut peer) = streaming(GET_10).await;
    server.close_and_stop();
    server.has_connections(1).await;
    server.abandon();
    assert_eq!(server.returned().await, 1);
    is_reset(&mut peer).await;
}

#[tokio::test]
async fn a_body_of_http_1_0_that_is_whole_ends_in_order() {
    let (mut server, pieces, mut peer) = streaming(GET_10).await;
    pieces.send(Ok(Bytes::from(", and the other"))).unwrap();
    drop(pieces);
    assert_eq!(read_to_end(&mut peer).await, ", and the other");
    drop(peer);
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_request_behind_a_response_that_began_before_the_stop_is_answered() {
    let (mut server, pieces, mut peer) = streaming(GET).await;
    server.stop_and_be_heard().await;
    drop(pieces);
    read_until(&mut peer, "0\r\n\r\n").await;
    send(&mut peer, GET).await;
    let response = read_to_end(&mut peer).await;
    assert!(response.contains("connection: close"), "{response}");
    assert!(response.ends_with("hello"), "{response}");
    assert_eq!(server.returned().await, 0);
}

/// What clients repeat by themselves is not answered, so that they do.
#[tokio::test]
async fn behind_it_and_rejected_only_what_is_not_repeated_is_answered() {
    for (request, is_answered) in [
        (GET, false),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        (
            b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
            true,
        ),
    ] {
        let (mut server, pieces, mut peer) = streaming(GET).await;
        server.handle.begin_shutdown();
        server.stop_and_be_heard().await;
        drop(pieces);
        read_until(&mut peer, "0\r\n\r\n").await;
        send(&mut peer, request).await;
        let response = read_to_end(&mut peer).await;
        assert_eq!(response.ends_with("hello"), is_answered, "{response}");
        drop(peer);
        assert_eq!(server.returned().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn behind_it_half_a_second_is_waited_for_another_request() {
    let (pipes, listener) = Pipes::new();
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let mut server = Server::on(
        listener,
        service_fn(move |_| {
            let go = go.clone();
            async move {
                let last = futures_util::stream::once(async move {
                    go.notified().await;
                    Ok::<_, Infallible>(Frame::data(Bytes::from("whole")))
                });
                Ok::<_, Infallible>(Response::new(StreamBody::new(last)))
            }
        }),
    );
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    read_until(&mut peer, "\r\n\r\n").await;
    server.close_and_stop();
    tokio::time::sleep(Duration::from_secs(60)).await;
    gone.notify_one();
    read_until(&mut peer, "0\r\n\r\n").await;
    let whole = tokio::time::Instant::now();
    assert_eq!(read_to_end(&mut peer).await, "");
    assert_eq!(whole.elapsed(), Duration::from_millis(500));
    drop(peer);
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_connection_that_comes_after_the_stop_is_told_at_once() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    server.stop();
    let mut before = connect(addr).await;
    // The listening socket is still open.
    is_dropped(&mut before).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    assert!(read_to_end(&mut peer).await.ends_with("hello"));
    server.close_socket();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn what_the_closed_socket_had_let_in_is_counted_when_it_is_abandoned() {
    let (_pipes, mut listener) = Pipes::new();
    let (_first, let_in) = tokio::io::duplex(64);
    let (_second, late) = tokio::io::duplex(64);
    let full = || Err(std::io::Error::from_raw_os_error(24));
    listener.backlog.extend([full(), Ok(let_in), Ok(late)]);
    let mut server = Server::on(listener, hello());
    server.close_and_stop();
    tokio::task::yield_now().await;
    server.abandon();
    assert_eq!(server.returned().await, 2);
}

/// How far the server is when a client is still sending a body that is answered already.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stops {
    No,
    Before,
    After,
}

#[tokio::test]
async fn a_response_to_an_unread_upload_is_not_reset() {
    const LENGTH: usize = 4 << 20;
    const PART: usize = 64 << 10;
    for stops in [Stops::No, Stops::Before, Stops::After] {
        let go = Arc::new(Notify::new());
        let gone = go.clone();
        let (mut server, addr) = Server::over_tcp(service_fn(move |_: Request<Incoming>| {
            let go = go.clone();
            async move {
                go.notified().await;
                let mut refused = Response::new(Full::<Bytes>::from("refused"));
                *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok::<_, Infallible>(refused)
            }
        }))
        .await;
        let mut peer = connect(addr).await;
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n");
        send(&mut peer, head.as_bytes()).await;
        if stops == Stops::Before {
            server.close_and_stop();
        }
        gone.notify_one();
        // A client that reads only when it has sent everything.
        for part in 0..LENGTH / PART {
            let sent = within("a part", peer.write_all(&[b'x'; PART])).await;
            sent.unwrap_or_else(|error| panic!("{error} at part {part}, stops: {stops:?}"));
            tokio::time::sleep(Duration::from_millis(2)).await;
            if part == LENGTH / PART / 2 && stops == Stops::After {
                server.close_and_stop();
            }
        }
        assert!(read_to_end(&mut peer).await.ends_with("refused"));
        drop(peer);
        server.close_and_stop();
        assert_eq!(server.returned().await, 0);
    }
}

#[tokio::test]
async fn the_end_of_an_upgraded_connection_leaves_what_its_peer_has_sent() {
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (took, taken) = tokio::sync::oneshot::channel();
    let took = Arc::new(std::sync::Mutex::new(Some(took)));
    let app = service_fn(move |request: Request<Incoming>| {
        let (go, took) = (go.clone(), took.clone());
        async move {
            go.notified().await;
            let took = took.lock().unwrap().take().unwrap();
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.unwrap();
                let mut upgraded = hyper_util::rt::TokioIo::new(upgraded);
                upgraded.write_all(b"last words").await.unwrap();
                upgraded.shutdown().await.unwrap();
                let _ = took.send(read_to_end(&mut upgraded).await);
            });
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response
                .header("connection", "upgrade")
                .header("upgrade", "x");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        }
    });
    let mut server = Server::on(listener, app);
    let mut peer = connect(addr).await;
    let upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    send(&mut peer, upgrade).await;
    server.has_connections(2).await;
    server.close_and_stop();
    gone.notify_one();
    read_until(&mut peer, "last words").await;
    send(&mut peer, b"the client's own, ").await;
    tokio::task::yield_now().await;
    send(&mut peer, b"and more").await;
    peer.shutdown().await.unwrap();
    let taken = within("what the taker reads", taken).await.unwrap();
    assert_eq!(taken, "the client's own, and more");
    assert_eq!(server.returned().await, 0);
}
