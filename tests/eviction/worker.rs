use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{json, Value};

use crate::fakes::{next, FakeCoordinator, Manner};
use crate::process::{assert_in_order, eviction, post, within, Directory, Running};

/// All phases short, so that they are waited for and not timed.
const SHORT: [(&str, &str); 5] = [
    ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.2"),
    ("GRACEFUL_SHUTDOWN_SETTLE", "0"),
    ("GRACEFUL_SHUTDOWN_TIMEOUT", "1"),
    ("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "0.2"),
    ("SAVE_SECONDS", "1"),
];

struct Worker {
    running: Running,
    jobs_at: SocketAddr,
    health_at: SocketAddr,
    id: Value,
}

impl Worker {
    /// Returns once it has beaten.
    async fn start(
        coordinator: &mut FakeCoordinator,
        directory: &Directory,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = eviction(&["worker", "east"], variables);
        command
            .env("STATE", directory.path())
            .env("COORDINATOR", coordinator.at.to_string());
        let running = Running::start(command);
        let from = next(&mut coordinator.calls, "heartbeat").await["from"].clone();
        let at = |name: &str| from[name].as_str().and_then(|at| at.parse().ok());
        Self {
            running,
            jobs_at: at("jobs_at").expect("an address"),
            health_at: at("health_at").expect("an address"),
            id: from["id"].clone(),
        }
    }

    async fn begin(&self, number: u32, manner: &str) {
        let job = json!({ "number": number, "steps": 1000, "step_ms": 50, "manner": manner });
        let begun = within("the job begins", post(self.jobs_at, "jobs", &job)).await;
        assert_eq!(begun, Some(Value::Null));
    }
}

fn saved(directory: &Directory) -> Vec<String> {
    let entries = fs::read_dir(directory.file("east")).expect("it has one");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn at_the_sigterm_the_heartbeat_stops_and_the_coordinator_is_told() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hears).await, Directory::new());
    let worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    worker.begin(1, "freezes").await;
    worker.running.signal(Signal::SIGTERM);
    let eviction = next(&mut coordinator.calls, "container-eviction").await;
    assert_eq!(eviction["name"], "east");
    assert_eq!(eviction["id"], worker.id);
    assert_eq!(eviction["reason"], "SIGTERM");
    let text = worker.running.exit().await;
    assert_in_order(&text, &["job 1, after step", "leaves", "after SIGTERM"]);
    let mut beats = 0;
    while let Ok((path, _)) = coordinator.calls.try_recv() {
        beats += usize::from(path == "heartbeat");
    }
    // One may have been on its way. In the 1.2 s that it drained, there would have been six.
    assert!(beats <= 1, "{beats}");
}

#[tokio::test]
async fn a_coordinator_that_refuses_or_hangs_stops_nobody_from_leaving() {
    let variables = [&SHORT[..], &[("EVICTION_SECONDS", "0.5")]].concat();
    for (manner, outcome) in [
        (Manner::Refuses, "failed: /container-eviction: 500"),
        (Manner::Hangs, "timed out"),
    ] {
        let (mut coordinator, directory) = (FakeCoordinator::new(manner).await, Directory::new());
        let worker = Worker::start(&mut coordinator, &directory, &variables).await;
        worker.begin(1, "heeds").await;
        worker.begin(2, "freezes").await;
        worker.running.signal(Signal::SIGTERM);
        let text = worker.running.exit().await;
        let told = format!("container-eviction: {outcome}");
        assert_in_order(&text, &["nudged: job 1", "frozen: job 2", ": saved", &told]);
        assert_eq!(saved(&directory), ["job-2.json"]);
    }
}

#[tokio::test]
async fn without_a_variable_the_coordinator_has_ten_seconds_to_hear() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hangs).await, Directory::new());
    let worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    worker.running.signal(Signal::SIGTERM);
    let text = worker.running.exit().await;
    assert_in_order(
        &text,
        &[
            "container-eviction: timed out",
            "leaves, 10.",
            " s after SIGTERM",
        ],
    );
}

#[tokio::test]
async fn the_work_of_exactly_those_that_froze_is_saved() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hears).await, Directory::new());
    let worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    for (number, manner) in [
        (1, "heeds"),
        (2, "save_hangs"),
        (3, "save_fails"),
        (4, "sticks"),
        (5, "freezes"),
        (6, "freezes"),
    ] {
        worker.begin(number, manner).await;
    }
    worker.running.signal(Signal::SIGTERM);
    let text = worker.running.exit().await;
    assert_in_order(&text, &["nudged: job 1 hands in", "frozen: "]);
    for part in [
        "job 4 could not be frozen: not saved",
        "not saved, the store refuses it",
        "freeze and save: failed: the work of 3 is lost",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    // Neither one that fails nor one that hangs stands in the way of those behind it.
    assert_in_order(
        &text,
        &["frozen: job 5", ": saved", "not saved, no answer within 1s"],
    );
    assert_in_order(
        &text,
        &["frozen: job 6", ": saved", "not saved, no answer within 1s"],
    );
    assert_eq!(saved(&directory), ["job-5.json", "job-6.json"]);
    let file = fs::read(directory.file("east").join("job-5.json")).expect("it is saved");
    let job: Value = serde_json::from_slice(&file).expect("whole");
    let done = job["done"].as_u64().expect("a number");
    assert!((1..1000).contains(&done), "{job}");
    let frozen = format!("frozen: job 5, after step {done} of 1000: saved");
    assert!(text.contains(&frozen), "{text}");

    let mut ended = Vec::new();
    while let Ok((path, body)) = coordinator.calls.try_recv() {
        if path == "ended" {
            ended.push((
                body["job"].as_u64(),
                body["how"].as_str().map(str::to_owned),
            ));
        }
    }
    ended.sort();
    let end = |job, how: &str| (Some(job), Some(how.to_owned()));
    assert_eq!(ended, [end(1, "done"), end(5, "saved"), end(6, "saved")]);
}

#[tokio::test]
async fn sigint_leaves_at_once_with_what_froze_saved() {
    for first in [None, Some(Signal::SIGTERM)] {
        let (mut coordinator, directory) =
            (FakeCoordinator::new(Manner::Hangs).await, Directory::new());
        // Five seconds of lame duck, five minutes of drain, ten seconds for the coordinator.
        let worker = Worker::start(&mut coordinator, &directory, &[]).await;
        worker.begin(1, "freezes").await;
        if let Some(first) = first {
            worker.running.signal(first);
            next(&mut coordinator.calls, "container-eviction").await;
        }
        let begun = Instant::now();
        worker.running.signal(Signal::SIGINT);
        let text = worker.running.exit().await;
        assert!(begun.elapsed().as_secs() < 4, "{text}");
        assert_in_order(&text, &["frozen: job 1, after step", ": saved"]);
        assert_in_order(
            &text,
            &["container-eviction: failed: given up at the SIGINT"],
        );
        assert_eq!(saved(&directory), ["job-1.json"]);
    }
}

#[tokio::test]
async fn an_idle_replacement_returns_the_nonce_that_its_heartbeat_brings() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hears).await, Directory::new());
    let worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    *coordinator.nonce.lock().expect("not poisoned") = Some(77);
    let ready = next(&mut coordinator.calls, "container-ready").await;
    assert_eq!(ready, json!({ "name": "east", "nonce": 77 }));
    // Once, for as long as it is the same.
    for _ in 0..3 {
        let (path, _) = within("a beat", coordinator.calls.recv())
            .await
            .expect("a call");
        assert_eq!(path, "heartbeat");
    }
    worker.running.signal(Signal::SIGTERM);
    worker.running.exit().await;
}

#[tokio::test]
async fn a_replacement_with_work_in_hand_returns_the_nonce_of_a_health_check() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hears).await, Directory::new());
    let left = json!({ "number": 9, "steps": 1000, "step_ms": 50, "done": 400 });
    fs::create_dir(directory.file("east")).expect("a new directory");
    let file = directory.file("east").join("job-9.json");
    fs::write(&file, left.to_string()).expect("a file");
    let mut worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    let goes_on = "goes on with job 9, after step 400 of 1000";
    worker.running.says(goes_on).await;
    let beat = next(&mut coordinator.calls, "heartbeat").await;
    assert_eq!(beat["in_hand"], 1);
    let answer = post(worker.health_at, "health", &json!({ "nonce": 78 })).await;
    assert_eq!(answer, Some(json!({ "id": worker.id })));
    let ready = next(&mut coordinator.calls, "container-ready").await;
    assert_eq!(ready["nonce"], 78);

    worker.running.signal(Signal::SIGTERM);
    let text = worker.running.exit().await;
    assert!(text.contains("frozen: job 9, after step 4"), "{text}");
    assert_eq!(saved(&directory), ["job-9.json"]);
}

#[tokio::test]
async fn a_worker_that_leaves_is_well_and_returns_no_nonce() {
    let (mut coordinator, directory) =
        (FakeCoordinator::new(Manner::Hears).await, Directory::new());
    let worker = Worker::start(&mut coordinator, &directory, &SHORT).await;
    worker.begin(1, "freezes").await;
    worker.running.signal(Signal::SIGTERM);
    next(&mut coordinator.calls, "container-eviction").await;
    let answer = post(worker.health_at, "health", &json!({ "nonce": 79 })).await;
    assert_eq!(answer, Some(json!({ "id": worker.id })));
    let text = worker.running.exit().await;
    assert!(text.contains("frozen: job 1"), "{text}");
    while let Ok((path, _)) = coordinator.calls.try_recv() {
        assert_ne!(path, "container-ready");
    }
}
