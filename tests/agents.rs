//! `examples/agent` and `examples/workflow` as people run them: processes of their own, real sockets, real signals.

#![cfg(all(unix, feature = "agent", feature = "shutdown"))]

#[path = "common/example.rs"]
mod common;

use std::process::Output;
use std::time::Instant;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use common::{assert_in_order, example, within, LIMIT};

/// What it prints until it exits with 0.
async fn output(name: &str, variables: &[(&str, &str)]) -> String {
    let run = example(name).envs(variables.iter().copied()).output();
    let Output {
        status,
        stdout,
        stderr,
    } = within(name, run).await.expect("it runs");
    let text = String::from_utf8(stdout).expect("UTF-8");
    let log = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{status}\n{text}{log}");
    assert!(!text.contains('\x1b'), "escapes outside a terminal: {text}");
    text
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = example(name);
        command.envs(variables.iter().copied());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// Reads up to a line with `part`.
    async fn says(&mut self, part: &str) {
        loop {
            let line = within(part, self.lines.next_line()).await.expect("UTF-8");
            let line = line.unwrap_or_else(|| panic!("`{part}` was never printed"));
            if line.contains(part) {
                return;
            }
        }
    }

    /// Sends SIGTERM; the rest of what it prints until it exits with 0.
    async fn terminate(mut self) -> String {
        let pid = self.child.id().expect("it still runs");
        kill(Pid::from_raw(pid as i32), Signal::SIGTERM).expect("it still runs");
        let mut rest = String::new();
        while let Some(line) = within("the rest", self.lines.next_line())
            .await
            .expect("UTF-8")
        {
            rest = rest + &line + "\n";
        }
        let status = within("the exit", self.child.wait()).await;
        let status = status.expect("it is a child of ours");
        assert!(status.success(), "{status}\n{rest}");
        rest
    }
}

#[tokio::test]
async fn the_agent_comes_back_beats_while_it_is_full_and_leaves_at_the_goodbye() {
    let begun = Instant::now();
    let text = output("agent", &[]).await;
    assert!(begun.elapsed() < LIMIT);
    // A call without the instance's id, or with another, is refused, and nothing of this happens.
    assert_in_order(
        &text,
        &[
            "connected, after operation 0",
            "operation 2 is done",
            "the stream broke without a goodbye: connecting again",
            "connected, after operation 2",
            "the poller waits",
            "operation 3 is done",
            "goodbye is heard",
            "operation 4 is done",
            "hands back 5 and 6",
            "heartbeat and loops have ended",
            "of one instance",
            "shutdown    drained after ",
            ": goodbye\n",
            "1 in flight at the drain, 0 cut, 0 rejected, 0 unflushed",
            "tell the orchestrator: done",
        ],
    );
    // It says goodbye only after a heartbeat of an agent that has no room.
    assert_in_order(
        &text,
        &[
            "heartbeat: 1 in hand, room for 0",
            "says goodbye",
            "is told: leaving goodbye",
            "is told: done 4",
            "is told: handed-back 5 and 6",
        ],
    );
    let instance = text.split_once("instance ").expect("it says so").1;
    let instance = instance.lines().next().expect("a line");
    let instance = uuid::Uuid::parse_str(instance).expect("a UUID");
    assert_eq!(instance.get_version_num(), 4);
}

#[tokio::test]
async fn sigterm_and_goodbye_in_one_moment_are_one_shutdown_and_no_second_signal() {
    let text = output("agent", &[("SIGTERM", "with-goodbye")]).await;
    assert_in_order(
        &text,
        &[
            "goodbye is heard",
            "SIGTERM comes too",
            "operation 4 is done",
            "hands back 5 and 6",
            "shutdown    drained after ",
            " 0 cut, ",
        ],
    );
    assert_eq!(text.matches("is told: leaving").count(), 1, "{text}");
    assert_eq!(text.matches("tell the orchestrator: ").count(), 1, "{text}");
}

#[tokio::test]
async fn an_orchestrator_that_hangs_delays_nothing_beyond_its_bound() {
    let variables = [("ORCHESTRATOR", "hangs"), ("NOTIFY_SECONDS", "1.5")];
    let text = output("agent", &variables).await;
    assert!(!text.contains("is told: leaving"), "{text}");
    assert_in_order(
        &text,
        &[
            "says goodbye",
            "goodbye is heard",
            "operation 4 is done",
            "hands back 5 and 6",
            "heartbeat and loops have ended",
            "shutdown    drained after ",
            " 0 cut, ",
            "tell the orchestrator: timed out, 1.5 s",
        ],
    );
}

#[tokio::test]
async fn without_a_goodbye_sigterm_is_enough() {
    let mut agent = Running::start("agent", &[("ORCHESTRATOR", "stays")]);
    agent.says("nothing more to do").await;
    let rest = agent.terminate().await;
    assert_in_order(
        &rest,
        &["is told: leaving SIGTERM", "is done", "hands back"],
    );
    assert_in_order(&rest, &["drained after ", ": SIGTERM\n", " 0 cut, "]);
    assert!(!rest.contains("goodbye"), "{rest}");
}

/// What the workflow says in one of its runs.
#[track_caller]
fn run<'a>(text: &'a str, name: &str) -> &'a str {
    let title = format!("\n  {name}, teardown ");
    let run = text.split_once(&title).unwrap_or_else(|| panic!("{text}"));
    let end = run.1.find(", teardown ").unwrap_or(run.1.len());
    &run.1[..end]
}

#[tokio::test]
async fn the_workflow_tells_a_slow_backend_a_lost_one_and_a_failure_apart() {
    let begun = Instant::now();
    let text = output("workflow", &[("HEALTHCHECK_TIMEOUT_SECONDS", "1")]).await;
    assert!(begun.elapsed() < LIMIT);
    for name in ["slow", "hiccup"] {
        assert_in_order(
            run(&text, name),
            &[
                "publish is done",
                "3 leases given back: all steps are done",
                "outcome    completed",
            ],
        );
    }
    // Without the success in between, these were two in a row.
    let hiccup = run(&text, "hiccup");
    assert!(hiccup.matches("fails a probe").count() >= 2, "{hiccup}");
    assert_in_order(
        run(&text, "gone"),
        &[
            "reserve is done",
            "is gone",
            "2 leases given back: the backend is lost",
            "outcome    connectivity, 2 failures: ",
            "Connection refused",
        ],
    );
    assert_in_order(
        run(&text, "hangs"),
        &[
            "never",
            "reserve is done",
            "hangs",
            "2 leases kept",
            "outcome    connectivity, 2 failures: no answer within 1 s",
        ],
    );
    assert_in_order(
        run(&text, "fails"),
        &["2 leases kept", "outcome    failure of `compute`: 422"],
    );
    assert_eq!(text.matches("at most 1 at once").count(), 5, "{text}");
}

#[tokio::test]
async fn the_policy_never_keeps_what_a_lost_backend_would_give_back() {
    let variables = [("RUN", "gone"), ("TEARDOWN", "never")];
    let text = output("workflow", &variables).await;
    assert_in_order(&text, &["is gone", "2 leases kept", "connectivity, 2 fail"]);
}

#[tokio::test]
async fn the_watchdog_of_the_workflow_is_set_by_its_three_variables() {
    let variables = [
        ("RUN", "hangs"),
        ("TEARDOWN", "on-completion"),
        ("HEALTHCHECK_INTERVAL_SECONDS", "0.25"),
        ("HEALTHCHECK_TIMEOUT_SECONDS", "0.125"),
        ("HEALTHCHECK_FAILURE_THRESHOLD", "4"),
    ];
    let text = output("workflow", &variables).await;
    assert_in_order(
        &text,
        &[
            "2 leases given back: the backend is lost",
            "at most 1 at once",
            "outcome    connectivity, 4 failures: no answer within 0.125 s",
        ],
    );
}

#[tokio::test]
async fn sigterm_lets_the_workflow_finish_its_step() {
    let variables = [("RUN", "slow"), ("HEALTHCHECK_TIMEOUT_SECONDS", "9")];
    let mut workflow = Running::start("workflow", &variables);
    workflow.says("reserve is done").await;
    let rest = workflow.terminate().await;
    assert_in_order(
        &rest,
        &[
            "compute is done",
            "2 leases kept",
            "outcome    stopped: SIGTERM",
        ],
    );
}

#[tokio::test]
async fn a_bad_value_is_named_before_anything_begins() {
    for (name, variable, value) in [
        ("agent", "ORCHESTRATOR", "perhaps"),
        ("workflow", "RUN", "away"),
        ("workflow", "TEARDOWN", "sometimes"),
        ("workflow", "HEALTHCHECK_INTERVAL_SECONDS", "0"),
        ("workflow", "HEALTHCHECK_FAILURE_THRESHOLD", "1.5"),
    ] {
        let mut child = example(name)
            .env(variable, value)
            .spawn()
            .expect("it starts");
        let mut log = String::new();
        let stderr = child.stderr.as_mut().expect("piped");
        within("the log", stderr.read_to_string(&mut log))
            .await
            .expect("UTF-8");
        let status = within("the exit", child.wait()).await.expect("ours");
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(variable) && log.contains(value), "{log}");
    }
}
