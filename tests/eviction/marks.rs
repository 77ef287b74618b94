use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use serde_json::{json, Value};
use tokio::time::sleep;

use crate::fakes::FakeWorker;
use crate::process::{within, Desk};

async fn until_serving(desk: &Desk) {
    let lifted = async {
        while desk.status().await["east"]["phase"] != "serving" {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("the mark lifts", lifted).await;
}

#[tokio::test]
async fn a_mark_survives_a_restart_with_its_nonce_and_its_clock() {
    let desk = Desk::new();
    let variables = [("HANDOFF_SECONDS", "2"), ("TTL_SECONDS", "60")];
    let coordinator = desk.coordinator(&variables).await;
    let mut old = FakeWorker::new("east", "e1").await;
    old.beat(&desk).await;
    old.leave(&desk).await;
    let before = desk.status().await["east"].clone();
    coordinator.kill().await;
    while old.calls.try_recv().is_ok() {}

    let mut coordinator = desk.coordinator(&variables).await;
    coordinator.says("east still drains").await;
    let after = desk.status().await["east"].clone();
    assert_eq!(after["phase"], "lame_duck");
    assert_eq!(after["reason"], before["reason"]);
    let left = |status: &Value| status["lifts_in_s"].as_f64().expect("a number");
    assert!(left(&after) < left(&before), "{before} {after}");
    // Its health is watched on, and it is still the one that was evicted.
    assert_eq!(old.checked().await, None);
    assert_eq!(old.beat(&desk).await, None);

    let kept = fs::read(desk.directory.file("marks.json")).expect("it is kept");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    let new = FakeWorker::new("east", "e2").await;
    let nonce = within("the nonce", async {
        loop {
            match new.beat(&desk).await {
                Some(nonce) => return nonce,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let nonce = nonce.await;
    // By the clock of the mark, and not of the process.
    assert!(left(&desk.status().await["east"]) <= 58.0);
    assert_eq!(kept["east"]["drain"]["nonce"], nonce);
    assert_eq!(new.ready(&desk, nonce).await.0, 200);

    coordinator.kill().await;
    let _coordinator = desk.coordinator(&variables).await;
    assert_eq!(desk.status().await, json!({}), "what was lifted stays so");
}

#[tokio::test]
async fn a_mark_lifts_itself_and_work_goes_to_the_worker_again() {
    let desk = Desk::new();
    let variables = [("HANDOFF_SECONDS", "0.5"), ("TTL_SECONDS", "1")];
    let mut coordinator = desk.coordinator(&variables).await;
    let mut east = FakeWorker::new("east", "e1").await;
    east.beat(&desk).await;
    east.leave(&desk).await;
    let job = json!({ "number": 1, "steps": 1, "step_ms": 1 });
    assert_eq!(desk.post("jobs", &job).await.0, 200);
    coordinator.says("its mark lifts itself").await;
    until_serving(&desk).await;
    let handed = crate::fakes::next(&mut east.calls, "jobs").await;
    assert_eq!(handed["number"], 1);
}

#[tokio::test]
async fn the_time_of_a_mark_goes_on_while_no_coordinator_runs() {
    let desk = Desk::new();
    let variables = [("HANDOFF_SECONDS", "0.5"), ("TTL_SECONDS", "1")];
    let coordinator = desk.coordinator(&variables).await;
    let east = FakeWorker::new("east", "e1").await;
    east.beat(&desk).await;
    east.leave(&desk).await;
    coordinator.kill().await;
    sleep(Duration::from_millis(1100)).await;
    let _coordinator = desk.coordinator(&variables).await;
    assert_eq!(desk.status().await, json!({}));
}

#[tokio::test]
async fn a_mark_is_written_beside_the_last_and_takes_its_place_whole() {
    let desk = Desk::new();
    let coordinator = desk.coordinator(&[]).await;
    let east = FakeWorker::new("east", "e1").await;
    let west = FakeWorker::new("west", "w1").await;
    east.beat(&desk).await;
    west.beat(&desk).await;
    east.leave(&desk).await;
    let file = desk.directory.file("marks.json");
    let mut first = File::open(&file).expect("it is kept");
    west.leave(&desk).await;
    // Whoever had the file open reads the first one to its end.
    let mut text = String::new();
    first.read_to_string(&mut text).expect("UTF-8");
    let marks: Value = serde_json::from_str(&text).expect("whole");
    assert!(marks["east"].is_object() && marks["west"].is_null());
    coordinator.kill().await;

    // What a crash in the middle of the next write leaves behind.
    fs::write(file.with_extension("new"), "{ \"east\": {").expect("a file");
    let _coordinator = desk.coordinator(&[]).await;
    let all = desk.status().await;
    assert_eq!(all["east"]["phase"], "lame_duck");
    assert_eq!(all["west"]["phase"], "lame_duck");
}

#[tokio::test]
async fn without_variables_it_is_eleven_minutes_and_fifteen() {
    let desk = Desk::new();
    let coordinator = desk.coordinator(&[]).await;
    let said = &coordinator.said;
    assert!(
        said.contains("nonces out after 660s, lifts marks after 900s"),
        "{said}"
    );
    let east = FakeWorker::new("east", "e1").await;
    east.beat(&desk).await;
    east.leave(&desk).await;
    let left = desk.status().await["east"]["lifts_in_s"].as_f64();
    let left = left.expect("it lifts itself");
    assert!(left <= 900.0 && left > 870.0, "{left}");
}
