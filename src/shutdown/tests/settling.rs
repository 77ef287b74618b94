//! A server that tells how many connections it has.

use std::time::Duration;

use tokio::time::{sleep, timeout, Instant};

use super::{after, assert_near, s};
use crate::shutdown::stages::{Served, ServerStages};
use crate::shutdown::Shutdown;
use crate::{BoxError, DrainHandle, Timeouts};

/// Has `connections` until `closed_after` after the socket closed, then none.
async fn server(
    stages: ServerStages,
    connections: usize,
    closed_after: f64,
) -> Result<Served, BoxError> {
    stages.connections.send_replace(connections + 1);
    stages.accept_closed.await;
    stages.connections.send_replace(connections);
    sleep(s(closed_after)).await;
    stages.connections.send_replace(0);
    stages.stop.await;
    Ok(Served { unflushed: 0 })
}

async fn rejecting_began(connections: usize, closed_after: f64) -> f64 {
    let handle = DrainHandle::new();
    let start = Instant::now();
    let draining = handle.draining();
    let draining = tokio::spawn(async move {
        draining.await;
        start.elapsed().as_secs_f64()
    });
    let run = Shutdown::new(handle)
        .trigger(after(0.0))
        .drive(|stages| server(stages, connections, closed_after));
    let ended = timeout(s(1000.0), run).await;
    ended.expect("every stage to be told").unwrap();
    draining.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn settling_ends_early_when_no_connection_is_left() {
    assert_near(rejecting_began(0, 0.0).await, 5.0);
    assert_near(rejecting_began(3, 0.2).await, 5.2);
    assert_near(rejecting_began(3, 0.7).await, 5.7);
    assert_near(rejecting_began(3, 9.0).await, 6.0);
}

#[tokio::test(start_paused = true)]
async fn a_server_hears_abandon_at_the_end_of_the_closing_and_says_what_was_not_sent() {
    let start = Instant::now();
    let timeouts = Timeouts::default().drain(Duration::from_secs(60));
    let report = Shutdown::new(DrainHandle::new())
        .timeouts(timeouts)
        .trigger(after(0.0))
        .drive(move |stages| async move {
            stages.connections.send_replace(2);
            stages.stop.await;
            stages.overdue.await;
            assert_near(start.elapsed().as_secs_f64(), 16.0);
            stages.abandon.await;
            // Dropping connections takes a moment, which is waited for.
            sleep(Duration::from_millis(100)).await;
            Ok(Served { unflushed: 2 })
        })
        .await
        .unwrap();
    // What the drain has left is for bytes that are on their way.
    assert_near(start.elapsed().as_secs_f64(), 76.1);
    assert_eq!(report.unflushed, 2);
    assert!(!report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn what_dropping_the_connections_takes_is_taken_off_the_servers_beside() {
    let shutdown = Shutdown::new(DrainHandle::new())
        .trigger(after(0.0))
        .beside(|_| std::future::pending::<Result<(), BoxError>>());
    let budget = shutdown.budget().unwrap();
    // Nothing is in flight, and the server has the whole drain to send what is written.
    let worst_case = budget.worst_case;
    let start = Instant::now();
    let hangs = shutdown.drive(|stages| async move {
        stages.connections.send_replace(2);
        stages.abandon.await;
        sleep(Duration::from_millis(250)).await;
        Ok(Served { unflushed: 1 })
    });
    hangs.await.unwrap();
    assert_near(start.elapsed().as_secs_f64(), worst_case.as_secs_f64());
}
