//! What needs a seam: signals without a process of one's own, variables without an environment, a server that tells
//! how many connections it has.

mod config;
mod hurry;
mod pages;
mod rules;
mod settling;

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, Instant};

use super::handlers::Handlers;
use super::rules::Signal;
use super::{Shutdown, ShutdownReport, Stop, Timeouts};
use crate::{BoxError, DrainHandle, DrainReason};

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A shutdown with a drain of 60 s that hears these signals at these times, in seconds.
fn hearing(handle: &DrainHandle, signals: &'static [(f64, Signal)]) -> Shutdown {
    let (send, receive) = mpsc::unbounded_channel();
    let mut shutdown = Shutdown::new(handle.clone()).timeouts(Timeouts::default().drain(s(60.0)));
    shutdown.handlers = Ok(Handlers::Injected(receive));
    let start = Instant::now();
    tokio::spawn(async move {
        for &(at, signal) in signals {
            tokio::time::sleep_until(start + s(at)).await;
            // Nobody hears what comes after the end.
            let _ = send.send(signal);
        }
    });
    shutdown
}

/// Runs a server that returns when it was told to stop and nothing is in flight; returns how long that took.
async fn run(shutdown: Shutdown) -> (ShutdownReport, f64) {
    let handle = shutdown.handle.clone();
    let start = Instant::now();
    let server = |stop: Stop| async move {
        stop.await;
        handle.wait_for_drain(Duration::MAX).await?;
        Ok::<_, BoxError>(())
    };
    let report = shutdown.run(server).await.unwrap();
    (report, start.elapsed().as_secs_f64())
}

async fn after(seconds: f64) -> DrainReason {
    sleep(s(seconds)).await;
    DrainReason::Other("test".into())
}

fn work(handle: &DrainHandle, seconds: f64) -> tokio::task::JoinHandle<Option<()>> {
    tokio::spawn(handle.track(sleep(s(seconds))).unwrap())
}

/// Hangs, whatever it is given.
fn hang<A>(_: A) -> impl Future<Output = Result<(), BoxError>> {
    std::future::pending()
}

#[track_caller]
fn assert_near(is: f64, expected: f64) {
    assert!(
        (is - expected).abs() < 0.02,
        "{is} s, expected {expected} s"
    );
}
