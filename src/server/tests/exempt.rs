//! Requests that the layer leaves alone, beside those of the drain.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{combinators::UnsyncBoxBody, BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{interval, sleep, Instant};
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::StreamExt;
use tower::{service_fn, Layer};

use super::support::*;
use crate::{DrainLayer, Shutdown, ShutdownReport, Timeouts};

type Answer = Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible>;

/// `/stuck` never answers, `/watch` never ends, `/late` takes a second, and anything else is `large`.
async fn answer(request: Request<Incoming>, large: usize) -> Answer {
    let body = match request.uri().path() {
        "/stuck" => never().await,
        "/watch" => {
            let ticks = IntervalStream::new(interval(Duration::from_millis(500)));
            let frames = ticks.map(|_| Ok(Frame::data(Bytes::from("tick"))));
            StreamBody::new(frames).boxed_unsync()
        }
        "/late" => {
            sleep(Duration::from_secs(1)).await;
            Full::from("late").boxed_unsync()
        }
        _ => Full::from(vec![b'x'; large]).boxed_unsync(),
    };
    Ok(Response::new(body))
}

/// All paths but `/` are exempt.
fn layer() -> DrainLayer {
    DrainLayer::new().exempt(|head| head.uri().path() != "/")
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

#[tokio::test(start_paused = true)]
async fn they_neither_hold_the_close_nor_count_as_lost() {
    let (pipes, listener) = Pipes::new();
    let layer = layer();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|request| answer(request, 1)));
    let serving = tokio::spawn(Shutdown::new(handle.clone()).serve(listener, app));
    let mut stuck = pipe(&pipes);
    send(&mut stuck, &get("/stuck")).await;
    let mut watch = pipe(&pipes);
    send(&mut watch, &get("/watch")).await;
    tokio::spawn(async move { tokio::io::copy(&mut watch, &mut tokio::io::sink()).await });
    let io = TokioIo::new(pipe(&pipes));
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let watch = Request::get("http://a/watch").body(Empty::<Bytes>::new());
    // Its window fills, and is never emptied.
    let _unread = client.send_request(watch.unwrap()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(handle.in_flight(), 0);

    let began = Instant::now();
    handle.request_exit("the test");
    let report = serving.await.unwrap().unwrap();
    assert!(report.is_complete(), "{report}");
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(7), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn they_are_served_until_the_drain_is_over_whatever_was_drained_before() {
    let (pipes, listener) = Pipes::new();
    let layer = layer();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|request| answer(request, 1)));
    let timeouts = Timeouts::default().lame_duck(Duration::ZERO);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let serving = tokio::spawn(shutdown.serve(listener, app));
    handle.begin_shutdown();
    // The server gets to see that the drain is over.
    sleep(Duration::from_millis(100)).await;
    handle.resume(handle.nonce().unwrap()).unwrap();
    let mut late = pipe(&pipes);
    send(&mut late, &get("/late")).await;
    sleep(Duration::from_millis(100)).await;
    // Holds the drain for longer than the request takes.
    let guard = handle.try_guard().unwrap();
    handle.request_exit("the test");
    assert!(read_to_end(&mut late).await.ends_with("late"));
    drop((late, guard));
    assert!(serving.await.unwrap().unwrap().is_complete());
}

/// One of the drain's on the same connection, which the peer reads slowly, is waited for all the same.
#[tokio::test]
async fn beside_them_a_response_of_the_drain_still_arrives() {
    const LARGE: usize = 60_000;
    let layer = layer();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|request| answer(request, LARGE)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let timeouts = Timeouts::default().lame_duck(Duration::ZERO);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let serving = tokio::spawn(shutdown.serve(listener, app));

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut peer = within("a connection", socket.connect(addr)).await.unwrap();
    send(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    send(&mut peer, &[0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
    // `:path: /watch` as a literal, then `:path: /`.
    let watch = [&[0x82, 0x86, 0x04, 0x06][..], b"/watch", &[0x41, 1, b'a']].concat();
    send(&mut peer, &[0, 0, watch.len() as u8, 1, 5, 0, 0, 0, 1]).await;
    send(&mut peer, &watch).await;
    let counted = [0x82, 0x84, 0x86, 0x41, 1, b'a'];
    send(&mut peer, &[0, 0, counted.len() as u8, 1, 5, 0, 0, 0, 3]).await;
    send(&mut peer, &counted).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(handle.in_flight(), 0, "the kernel has all of it");

    handle.request_exit("the test");
    let mut seen = Vec::<u8>::new();
    let mut part = [0; 2048];
    // Slower than the stop of a connection that owes nothing.
    while seen.iter().filter(|byte| **byte == b'x').count() < LARGE {
        sleep(Duration::from_millis(50)).await;
        // The last few thousand bytes may be in the peer's own system.
        let may_end = seen.len() > LARGE - 20_000;
        assert!(may_end || !serving.is_finished(), "at {}", seen.len());
        match within("more", peer.read(&mut part)).await {
            Ok(length) if length > 0 => seen.extend(&part[..length]),
            end => panic!("{end:?} after {} bytes", seen.len()),
        }
    }
    let rest = async { while peer.read(&mut part).await.is_ok_and(|length| length > 0) {} };
    within("the end", rest).await;
    let report: ShutdownReport = within("the report", serving).await.unwrap().unwrap();
    assert!(report.is_complete(), "{report}");
}
