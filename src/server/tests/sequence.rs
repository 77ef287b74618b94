//! The server under the whole sequence, with a paused clock.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::time::{sleep, Instant};
use tower::{service_fn, Layer};

use super::support::*;
use crate::{DrainLayer, Phase, Shutdown, Timeouts};

const LAME_DUCK: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_millis(500);

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_answered_and_the_report_is_clean() {
    let (pipes, listener) = Pipes::new();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|_| async {
        sleep(Duration::from_secs(15)).await;
        text("slow")
    }));
    let serving = tokio::spawn(Shutdown::new(handle.clone()).serve(listener, app));
    let (mut slow, mut unused) = (pipe(&pipes), pipe(&pipes));
    send(&mut slow, GET).await;
    sleep(Duration::from_secs(1)).await;

    let began = Instant::now();
    handle.request_exit("the test");
    is_dropped(&mut unused).await;
    // The stop comes after the first settling, before anything is rejected.
    assert_eq!(began.elapsed(), LAME_DUCK + SETTLE + LOOK);
    assert_eq!(handle.phase(), Phase::LameDuck);
    let answer = read_to_end(&mut slow).await;
    assert!(answer.ends_with("slow"), "{answer}");
    drop(slow);
    let report = within("the report", serving).await.unwrap().unwrap();
    assert_eq!((report.cut, report.unflushed), (0, 0));
    assert_eq!(began.elapsed().as_secs(), 14);
}

#[tokio::test(start_paused = true)]
async fn without_connections_settling_takes_no_time() {
    let (_pipes, listener) = Pipes::new();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let serving = Shutdown::new(handle.clone()).serve(listener, layer.layer(hello()));
    handle.request_exit("the test");
    let began = Instant::now();
    within("the report", serving).await.unwrap();
    assert_eq!(began.elapsed(), LAME_DUCK);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_has_the_drain_and_the_close_and_is_in_the_report() {
    let (pipes, listener) = Pipes::new();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|_| async { text(vec![b'x'; 1 << 20]) }));
    let (drain, close) = (Duration::from_secs(60), Duration::from_secs(20));
    let timeouts = Timeouts::default().drain(drain).close(close);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let serving = tokio::spawn(shutdown.serve(listener, app));
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    sleep(Duration::from_secs(1)).await;
    // Handed over, though nobody has read it.
    assert_eq!(handle.in_flight(), 0);

    let began = Instant::now();
    handle.request_exit("the test");
    let report = serving.await.unwrap().unwrap();
    assert_eq!((report.cut, report.unflushed), (0, 1));
    // As long as a stream of the same bytes, which the drain would have waited for.
    assert_eq!(began.elapsed(), LAME_DUCK + 2 * SETTLE + drain + close);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_layer_does_not_count_has_the_close() {
    let (pipes, listener) = Pipes::new();
    let handle = DrainLayer::new().handle();
    let app = service_fn(|_| never::<Result<http::Response<Full<Bytes>>, Infallible>>());
    let serving = tokio::spawn(Shutdown::new(handle.clone()).serve(listener, app));
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    sleep(Duration::from_secs(1)).await;

    let began = Instant::now();
    handle.request_exit("the test");
    let report = serving.await.unwrap().unwrap();
    assert_eq!((report.cut, report.unflushed), (0, 1));
    let close = Timeouts::default().close;
    assert_eq!(began.elapsed(), LAME_DUCK + 2 * SETTLE + close);
}

/// All threads for blocking work are busy, which neither the stop nor the reading of send queues may wait for.
#[test]
fn a_stop_waits_for_no_blocking_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (busy, free) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || free.recv());
    let report = runtime.block_on(async {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let timeouts = Timeouts::default().lame_duck(Duration::ZERO);
        let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
        let serving = tokio::spawn(shutdown.serve(listener, layer.layer(hello())));
        let mut peer = connect(addr).await;
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
        handle.request_exit("the test");
        assert_eq!(read_to_end(&mut peer).await, "");
        within("the report", serving).await.unwrap().unwrap()
    });
    drop(busy);
    assert!(report.is_complete(), "{report}");
}
