//! The server under the whole sequence, with a paused clock.

use std::time::Duration;

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
    assert_eq!(began.elapsed(), LAME_DUCK + SETTLE);
    assert_eq!(handle.phase(), Phase::LameDuck);
    let answer = read_to_end(&mut slow).await;
    assert!(answer.ends_with("slow"), "{answer}");
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
async fn a_peer_that_never_reads_is_in_the_report_at_the_end_of_close() {
    let (pipes, listener) = Pipes::new();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = layer.layer(service_fn(|_| async { text(vec![b'x'; 1 << 20]) }));
    let timeouts = Timeouts::default().close(Duration::from_secs(20));
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let serving = tokio::spawn(shutdown.serve(listener, app));
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    sleep(Duration::from_secs(1)).await;
    // Handed over, though nobody has read it.
    assert_eq!(handle.in_flight(), 0);

    let began = Instant::now();
    handle.request_exit("the test");
    let report = tokio::time::timeout(Duration::from_secs(60), serving).await;
    let report = report.unwrap().unwrap().unwrap();
    assert_eq!((report.cut, report.unflushed), (0, 1));
    let close = Duration::from_secs(20);
    assert_eq!(began.elapsed(), LAME_DUCK + 2 * SETTLE + close);
}
