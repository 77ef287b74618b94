//! The example as people run it.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> (Output, String) {
    let mut example = Command::new(env!("CARGO_BIN_EXE_tower-drain-mcp"));
    let output = example.args(arguments).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

/// Asserts that `text` has these parts in this order.
#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => panic!("`{part}` is missing, or not where it belongs:\n{text}"),
        }
    }
}

#[test]
fn the_streams_end_the_call_is_answered_and_the_process_leaves_within_a_second() {
    let (output, text) = run(&[]);
    // It measures the second itself.
    assert!(output.status.success(), "{output:?}");
    assert_in_order(
        &text,
        &[
            "has a session, and its GET stream",
            "has a subscription",
            "gets SIGTERM",
            "is told that its subscription is over",
            "is held by POST /mcp",
            "has its answer: 42 pages",
            "exit status: 0",
        ],
    );
    assert_eq!(text.matches("is held by").count(), 1, "{text}");
}

#[test]
fn without_a_policy_the_stream_of_a_session_holds_the_drain_until_it_is_cut() {
    let (output, text) = run(&["--without-policy"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_in_order(
        &text,
        &["is held by GET /mcp", "42 pages", "exit status: 1"],
    );
}
