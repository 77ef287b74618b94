use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, Instant};
use tower::service_fn;

use super::support::*;

pub(super) type Client = SendRequest<Empty<Bytes>>;

pub(super) async fn client<T>(io: T) -> (Client, JoinHandle<hyper::Result<()>>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io));
    let (client, connection) = within("a handshake", handshake).await.unwrap();
    (client, tokio::spawn(connection))
}

pub(super) fn request(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://a{path}");
    Request::get(uri).body(Empty::new()).unwrap()
}

pub(super) async fn get(client: &mut Client, path: &str) -> Bytes {
    let answer = within("an answer", client.send_request(request(path))).await;
    let body = within("a body", answer.unwrap().collect()).await;
    body.unwrap().to_bytes()
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_order() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let (mut client, connection) = client(connect(addr).await).await;
    assert_eq!(get(&mut client, "/").await, "hello");

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    let ended = within("the client to end", connection).await.unwrap();
    ended.expect("no error at the client");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_none_is_taken_after_the_goaway() {
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |request: Request<Incoming>| {
        let go = go.clone();
        async move {
            if request.uri().path() == "/slow" {
                go.notified().await;
            }
            text("hello")
        }
    }))
    .await;
    let (mut client, connection) = client(connect(addr).await).await;
    let slow = client.send_request(request("/slow"));
    let slow = tokio::spawn(async move {
        let body = slow.await.unwrap().collect().await;
        body.unwrap().to_bytes()
    });
    assert_eq!(get(&mut client, "/").await, "hello");

    server.close_and_stop();
    // What the client sends before it hears of the GOAWAY is answered.
    let refused = async {
        while let Ok(answer) = client.send_request(request("/")).await {
            assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
        }
    };
    within("the client to hear of the GOAWAY", refused).await;
    assert!(!server.serving.is_finished());
    gone.notify_one();
    assert_eq!(within("the slow one", slow).await.unwrap(), "hello");
    assert_eq!(server.returned().await, 0);
    within("the client to end", connection)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_the_window_of_a_slow_reader() {
    const LENGTH: usize = 4 << 20;
    let (pipes, listener) = Pipes::new();
    let app = service_fn(|_| async { text(vec![b'x'; LENGTH]) });
    let mut server = Server::on(listener, app);
    let (mut client, _connection) = client(pipe(&pipes)).await;
    let answer = within("a head", client.send_request(request("/"))).await;
    let mut body = answer.unwrap().into_body();
    // The handler is done, its body dropped; the window is full.
    sleep(Duration::from_secs(1)).await;
    server.close_and_stop();
    sleep(Duration::from_secs(5)).await;
    assert!(!server.serving.is_finished());

    let mut length = 0;
    while let Some(frame) = within("a frame", body.frame()).await {
        length += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(length, LENGTH);
    let read = Instant::now();
    assert_eq!(server.returned().await, 0);
    assert!(read.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_room_in_the_window_is_counted_when_it_is_abandoned() {
    let (pipes, listener) = Pipes::new();
    let app = service_fn(|_| async { text(vec![b'x'; 4 << 20]) });
    let mut server = Server::on(listener, app);
    let (mut client, _connection) = client(pipe(&pipes)).await;
    let _answer = within("a head", client.send_request(request("/"))).await;
    sleep(Duration::from_secs(1)).await;
    server.close_and_stop();
    sleep(Duration::from_secs(5)).await;
    server.abandon();
    assert_eq!(server.returned().await, 1);
}

/// Preface, settings and their acknowledgement, then `GET /` as one frame of headers. What follows goes unread.
async fn raw_get(addr: SocketAddr) -> TcpStream {
    let mut peer = connect(addr).await;
    send(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    send(&mut peer, &[0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
    let head = [0x82, 0x84, 0x86, 0x41, 0x01, b'a'];
    send(&mut peer, &[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]).await;
    send(&mut peer, &head).await;
    peer
}

#[tokio::test]
async fn websockets_over_http2_are_allowed_by_the_settings() {
    let (_server, addr) = Server::over_tcp(hello()).await;
    let mut peer = raw_get(addr).await;
    let mut head = [0; 9];
    let read = within("the head of a frame", peer.read_exact(&mut head)).await;
    read.unwrap();
    assert_eq!(head[3], 4, "settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    let read = within("the settings", peer.read_exact(&mut settings)).await;
    read.unwrap();
    // RFC 8441, section 3.
    let connect_protocol = [0, 8, 0, 0, 0, 1];
    let mut settings = settings.chunks(6);
    assert!(settings.any(|setting| setting == connect_protocol));
}

#[tokio::test]
async fn the_last_stream_to_end_ends_the_connection_of_a_peer_that_does_not_answer() {
    let go = Arc::new(Notify::new());
    let (gone, called) = (go.clone(), Arc::new(Notify::new()));
    let calls = called.clone();
    let (mut server, addr) = Server::over_tcp(service_fn(move |_| {
        let (go, called) = (go.clone(), called.clone());
        async move {
            called.notify_one();
            go.notified().await;
            text("hello")
        }
    }))
    .await;
    let _peer = raw_get(addr).await;
    within("a call", calls.notified()).await;

    server.close_and_stop();
    gone.notify_one();
    assert_eq!(server.returned().await, 0);
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        // Whoever does not wait for the end of it is ahead of it.
        std::thread::sleep(Duration::from_millis(50));
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn stuck(dropped: Arc<AtomicBool>, called: Arc<Notify>) -> (Server, SocketAddr) {
    Server::over_tcp(service_fn(move |_| {
        let (on_drop, called) = (OnDrop(dropped.clone()), called.clone());
        async move {
            called.notify_one();
            let _on_drop = on_drop;
            never::<Result<http::Response<Empty<Bytes>>, Infallible>>().await
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stream_does_not_outlive_its_connection() {
    let (dropped, called) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (mut server, addr) = stuck(dropped.clone(), called.clone()).await;
    let peer = raw_get(addr).await;
    within("a call", called.notified()).await;
    drop(peer);
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_stuck_stream_is_dropped_and_counted_when_it_is_abandoned() {
    let (dropped, called) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (mut server, addr) = stuck(dropped.clone(), called.clone()).await;
    let (mut client, _connection) = client(connect(addr).await).await;
    let _answer = tokio::spawn(client.send_request(request("/")));
    within("a call", called.notified()).await;
    server.close_and_stop();
    server.has_connections(1).await;
    server.abandon();
    assert_eq!(server.returned().await, 1);
    assert!(dropped.load(Ordering::SeqCst));
}
