use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::fakes::{next, FakeWorker};
use crate::process::{within, Desk};

async fn submit(desk: &Desk, number: u32) {
    let job = json!({ "number": number, "steps": 1, "step_ms": 1 });
    assert_eq!(desk.post("jobs", &job).await.0, 200);
}

#[tokio::test]
async fn a_worker_that_drains_gets_no_job_while_its_health_rules_go_on() {
    let desk = Desk::new();
    let mut coordinator = desk.coordinator(&[]).await;
    let mut east = FakeWorker::new("east", "e1").await;
    east.beat(&desk).await;
    submit(&desk, 1).await;
    assert_eq!(next(&mut east.calls, "jobs").await["number"], 1);
    let mut west = FakeWorker::new("west", "w1").await;
    west.beat(&desk).await;

    east.leave(&desk).await;
    let status = desk.status().await;
    assert_eq!(status["east"]["phase"], "lame_duck");
    assert_eq!(status["east"]["reason"], "east is evicted: SIGTERM");
    assert_eq!(status["east"]["stragglers"][0]["label"], "job 1");
    assert_eq!(status["west"]["phase"], "serving");
    // The west has more in hand from the second on.
    for number in 2..5 {
        submit(&desk, number).await;
        assert_eq!(next(&mut west.calls, "jobs").await["number"], number);
    }
    while let Ok((path, _)) = east.calls.try_recv() {
        assert_ne!(path, "jobs");
    }
    for _ in 0..3 {
        assert_eq!(east.checked().await, None);
    }

    east.die().await;
    coordinator
        .says("east is lost, 3 checks in a row: job 1 to be done anew")
        .await;
    assert_eq!(next(&mut west.calls, "jobs").await["number"], 1);
    // Whoever is lost is not ready.
    assert_eq!(desk.status().await["east"]["phase"], "lame_duck");
}

#[tokio::test]
async fn the_nonce_is_handed_out_after_the_handoff_time_and_never_to_the_evicted() {
    let desk = Desk::new();
    let _coordinator = desk.coordinator(&[("HANDOFF_SECONDS", "2")]).await;
    let mut old = FakeWorker::new("east", "e1").await;
    assert_eq!(old.beat(&desk).await, None);
    old.leave(&desk).await;
    let evicted = Instant::now();
    assert_eq!(old.beat(&desk).await, None);
    assert_eq!(old.checked().await, None);

    let mut new = FakeWorker::new("east", "e2").await;
    let nonce = within("the nonce", async {
        loop {
            let nonce = new.beat(&desk).await;
            assert_eq!(old.beat(&desk).await, None);
            match nonce {
                Some(nonce) => return nonce,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    // The mark was set before its answer came.
    assert!(evicted.elapsed() > Duration::from_millis(1500));
    // Idle or not, and by health checks too.
    let handed = within("a check with the nonce", async {
        loop {
            if let Some(nonce) = new.checked().await {
                return nonce;
            }
        }
    });
    assert_eq!(handed.await, nonce);
    assert_eq!(new.ready(&desk, nonce).await.0, 200);
    assert_eq!(desk.status().await["east"]["phase"], "serving");
    assert_eq!(new.beat(&desk).await, None);
}

#[tokio::test]
async fn one_that_was_evicted_is_not_handed_the_nonce_however_long_it_lives() {
    let desk = Desk::new();
    let _coordinator = desk.coordinator(&[("HANDOFF_SECONDS", "0")]).await;
    let mut east = FakeWorker::new("east", "e1").await;
    east.beat(&desk).await;
    east.leave(&desk).await;
    assert_eq!(east.beat(&desk).await, None);
    while east.calls.try_recv().is_ok() {}
    for _ in 0..3 {
        assert_eq!(east.checked().await, None);
    }
}

#[tokio::test]
async fn a_stale_heartbeat_and_an_old_nonce_lift_nothing() {
    let desk = Desk::new();
    let _coordinator = desk.coordinator(&[("HANDOFF_SECONDS", "0")]).await;
    let first = FakeWorker::new("east", "e1").await;
    first.beat(&desk).await;
    first.leave(&desk).await;
    // It was on its way when its sender left.
    first.beat(&desk).await;
    assert_eq!(desk.status().await["east"]["phase"], "lame_duck");

    let second = FakeWorker::new("east", "e2").await;
    let old = second.beat(&desk).await.expect("it may have the nonce");
    assert_eq!(second.ready(&desk, old ^ 1).await.0, 409);
    assert_eq!(desk.status().await["east"]["phase"], "lame_duck");
    // It leaves before it was ready.
    second.leave(&desk).await;
    let (status, why) = second.ready(&desk, old).await;
    assert_eq!(status, 409);
    assert!(why.as_str().expect("text").contains("stale"), "{why}");
    assert_eq!(desk.status().await["east"]["phase"], "lame_duck");

    let third = FakeWorker::new("east", "e3").await;
    let nonce = third.beat(&desk).await.expect("it may have the nonce");
    assert_ne!(nonce, old);
    assert_eq!(third.ready(&desk, nonce).await.0, 200);
    assert_eq!(desk.status().await["east"]["phase"], "serving");
    // An eviction that was on its way when the next one came.
    let late = json!({ "name": "east", "id": "e1", "reason": "SIGTERM" });
    assert_eq!(desk.post("container-eviction", &late).await.0, 404);
    assert_eq!(desk.status().await["east"]["phase"], "serving");
}
