//! The examples as people run them: processes of their own, real sockets, real signals.

#![cfg(unix)]

#[path = "common/example.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{assert_in_order, example, within};

/// What an example prints that ends well, and in time.
async fn succeeds(name: &str) -> String {
    let begun = Instant::now();
    let output = within(name, example(name).output()).await.expect("it runs");
    let took = begun.elapsed();
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success() && took < Duration::from_secs(10),
        "{took:?} {text}"
    );
    text
}

#[tokio::test]
async fn the_demo_drains_fifty_streams_in_under_ten_seconds_and_says_so_in_plain_lines() {
    let text = succeeds("demo").await;
    assert!(!text.contains('\x1b'), "escapes outside a terminal: {text}");
    assert_in_order(
        &text,
        &[
            "50 event streams",
            "SIGTERM",
            "lame duck",
            "draining",
            "3 s were not enough for 12",
            "GET /",
            "body",
            "38 of 38 ",
            "4 of 4 ",
            "12 of 12 ",
            "drained, with losses, after 4.",
            "12 cut",
        ],
    );
    let rejected: Vec<u32> = text
        .lines()
        .filter_map(|line| {
            line.split_once(" in flight ")?
                .1
                .split_once(" rejected (503)")
        })
        .map(|(count, _)| count.trim().parse().expect("a count"))
        .collect();
    assert!(
        rejected.windows(2).all(|pair| pair[0] <= pair[1]),
        "{rejected:?}"
    );
    assert!(
        rejected.first() == Some(&0) && rejected.last() > Some(&0),
        "{rejected:?}"
    );
}

#[tokio::test]
async fn the_hyper_example_drains_and_then_closes_its_connections() {
    let text = succeeds("hyper").await;
    assert_in_order(
        &text,
        &[
            "serving    hyper on 127.0.0.1:",
            "1 in flight",
            "draining   a newcomer gets 503",
            "drained    the stream ended after 80 bytes",
            "closed every connection",
            "1 in flight at the start, 0 cut, 1 rejected",
        ],
    );
}

#[tokio::test]
async fn the_tonic_example_drains_in_the_words_of_grpc() {
    let text = succeeds("tonic").await;
    assert_in_order(
        &text,
        &[
            "2 in flight",
            "draining   the probe says NotServing",
            "draining   a newcomer gets Unavailable",
            "cut: POST /grpc.health.v1.Health/Watch, body, ",
            "drained    the other watcher gets Cancelled",
            "closed every connection",
            "2 in flight at the start, 1 cut, 1 rejected",
        ],
    );
}

#[test]
fn the_first_commands_of_the_readme_run_the_demo_and_the_tests() {
    let readme = include_str!("../README.md");
    let block = readme
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"));
    let (commands, _) = block.expect("a block of commands");
    assert_eq!(
        commands,
        "cargo run --example demo\ncargo test --all-features\n"
    );
}
