use std::time::Instant;

use nix::sys::signal::Signal;

use crate::process::{assert_in_order, eviction, within, Directory, Running, LIMIT};

#[tokio::test]
async fn the_play_shows_an_eviction_from_the_signal_to_the_replacement() {
    let begun = Instant::now();
    let mut command = eviction(&[], &[]);
    let output = within("the play", command.output()).await.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{log}");
    assert!(begun.elapsed() < LIMIT);
    assert!(!text.contains('\x1b'), "escapes outside a terminal: {text}");
    assert_in_order(
        &text,
        &[
            "job 7 goes to east",
            "SIGTERM to east",
            "east drains: nothing more goes to it",
            "job 8 goes to west",
            "job 9 goes to west",
            "nudged: job 1 hands in",
            "job 7 could not be frozen: not saved",
            "east has exited with 0",
            "east is lost, 3 checks in a row: job 5 and job 7 to be done anew",
            "job 5 goes to west",
            "coordinator is dead",
            "east still drains",
            "goes on with job 3, after step",
            "east is here, with 1 in hand",
            "is handed the nonce: container-ready",
            "east is ready: its mark is lifted",
            "job 10 goes to east",
            "SIGTERM to east",
            "nobody comes in its place",
            "east: nobody came, its mark lifts itself",
            "job 11 goes to west",
            "SIGINT to west",
            "west has exited with 0",
            "coordinator has exited with 0",
        ],
    );
}

#[tokio::test]
async fn whoever_stops_or_kills_the_play_leaves_no_process_behind() {
    for (signal, code) in [(Signal::SIGTERM, Some(1)), (Signal::SIGKILL, None)] {
        // One that is killed cannot tidy up.
        let directory = Directory::new();
        let mut command = eviction(&[], &[]);
        command.env("TMPDIR", directory.path());
        let mut play = Running::start(command);
        play.says("west is here").await;
        play.signal(signal);
        play.exit_with(code).await;
    }
}

#[tokio::test]
async fn a_bad_value_is_named_before_anything_begins() {
    for (role, variable, value) in [
        (&["coordinator"][..], "HANDOFF_SECONDS", "soon"),
        (&["coordinator"], "HANDOFF_SECONDS", "900"),
        (&["coordinator"], "TTL_SECONDS", "-1"),
        (&["worker", "east"], "EVICTION_SECONDS", "x"),
        (&["worker", "east"], "COORDINATOR", "nowhere"),
        (&["worker", "east"], "GRACEFUL_SHUTDOWN_TIMEOUT", "400"),
    ] {
        let mut command = eviction(role, &[(variable, value)]);
        let output = within("the exit", command.output()).await.expect("it runs");
        let log = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(variable), "{log}");
        assert!(output.stdout.is_empty());
    }
}
