//! `drain-check` as a pipeline runs it: what it says of a server that drains, of one that does not, and of what is none.
//!
//! Needs nginx or haproxy, and says what it skips where one is missing. It is built by `cargo test`, but not by
//! `cargo test --test drain_check` alone.

#![cfg(unix)]
#![allow(clippy::incompatible_msrv)] // Tests run on the newest Rust.

#[allow(dead_code)]
#[path = "rolling/process.rs"]
mod process;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this test has a path");
    let target = this.ancestors().nth(2).expect("it is in deps");
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: run `cargo build --examples --all-features`"
    );
    path
}

/// `None` if the proxy is not installed.
fn check(proxy: &str, server: &str, options: &[&str]) -> Option<Output> {
    if process::find_program(proxy).is_none() {
        println!("skipped: {proxy} is not installed");
        return None;
    }
    let mut command = Command::new(example("drain-check"));
    command.args(["--proxy", proxy, "--server", server]);
    let output = command.args(options).output().expect("it runs");
    println!("{}", text(&output.stdout));
    eprintln!("{}", text(&output.stderr));
    Some(output)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else")
}

/// Its streams take half a second, and a third of its clients POST.
fn server() -> String {
    example("server").display().to_string()
}

const LOAD: [&str; 11] = [
    "--post",
    "/echo",
    "--echoes",
    "--events",
    "/events?n=6&every_ms=100",
    "--events-count",
    "6",
    "--ready",
    "/readyz",
    "--env",
    "RUST_LOG=warn",
];

#[test]
fn a_server_that_drains_is_told_to_lose_nothing_and_passes_the_pipeline() {
    let mut options = LOAD.to_vec();
    options.extend(["--env", "GRACEFUL_SHUTDOWN_LAME_DUCK=0.2"]);
    options.extend(["--restarts", "2", "--json"]);
    let Some(output) = check("nginx", &server(), &options) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0));
    let result = json(&output);
    assert_eq!(result["verdict"], "nothing lost");
    assert_eq!(
        (&result["failed"], &result["events_missing"]),
        (&0.into(), &0.into())
    );
    assert!(result["answered"].as_u64() > Some(50), "too little load");
    let restarts = result["restarts"].as_array().unwrap();
    assert_eq!(restarts.len(), 2);
    assert!(restarts.iter().all(|restart| restart["exit_code"] == 0));
    assert_eq!(result["problems"], Value::Array(Vec::new()));
}

#[test]
fn it_tells_people_in_plain_lines_what_it_tells_machines_in_json() {
    let mut options = LOAD.to_vec();
    options.extend(["--env", "GRACEFUL_SHUTDOWN_LAME_DUCK=1"]);
    options.extend(["--restarts", "1"]);
    let Some(output) = check("haproxy", &server(), &options) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(
        said.contains("  1/1  a  exit 0 in "),
        "no line of the restart"
    );
    assert!(
        said.contains("\nnothing was lost: 1 restarts, "),
        "no verdict"
    );
    assert!(!said.contains('\x1b'), "escapes outside a terminal");
    assert_eq!(text(&output.stderr), "", "a moving line outside a terminal");
}

#[test]
fn a_server_that_cuts_its_streams_fails_the_pipeline_and_the_losses_are_named() {
    let mut options = LOAD.to_vec();
    for variable in ["LAME_DUCK", "TIMEOUT", "SETTLE"] {
        options.extend([
            "--env",
            Box::leak(format!("GRACEFUL_SHUTDOWN_{variable}=0").into()),
        ]);
    }
    // Ten of them have a stream open nearly all the time, once all of them have begun; so the first stop may cut none.
    options.extend(["--restarts", "4", "--json", "--clients", "60"]);
    let Some(output) = check("nginx", &server(), &options) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    assert_eq!(result["verdict"], "lost");
    assert!(result["events_missing"].as_u64() > Some(0));
    let lost = result["lost"].as_array().unwrap();
    let streams = lost.iter().filter(|lost| lost["request"] == "events");
    let cut = |lost: &Value| lost["what"].as_str().unwrap().starts_with("cut after ");
    assert!(streams.clone().count() > 0 && streams.clone().all(cut));
    let restarts = result["restarts"].as_array().unwrap();
    assert!(restarts.iter().any(|restart| restart["exit_code"] == 1));
    let logs = result["logs"].as_str().expect("the logs are kept");
    std::fs::remove_dir_all(logs).unwrap();
}

/// Stops its server by the signal, and then ends by it itself, as uvicorn does.
const RAISES: &str = "\
trap 'kill $server; wait $server; trap - TERM; kill $$' TERM
\"$@\" & server=$!
wait $server
";

#[test]
fn a_death_by_a_signal_is_the_exit_code_that_a_shell_makes_of_it() {
    let name = format!("drain-check-{}-raises.sh", std::process::id());
    let script = std::env::temp_dir().join(name);
    std::fs::write(&script, RAISES).unwrap();
    let raises = format!("sh {} {}", script.display(), server());
    let mut options = LOAD.to_vec();
    options.extend([
        "--env",
        "GRACEFUL_SHUTDOWN_LAME_DUCK=0.2",
        "--restarts",
        "1",
    ]);
    let right = [&options[..], &["--exit-code", "143", "--json"]].concat();
    let Some(output) = check("nginx", &raises, &right) else {
        return;
    };
    let result = json(&output);
    assert_eq!(result["verdict"], "nothing lost");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(result["restarts"][0]["exit_code"], 143);
    assert_eq!(result["restarts"][0]["exit"], "signal: 15 (SIGTERM)");

    // It is not what is right by itself, and yet nothing was lost.
    let output = check("nginx", &raises, &options).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("signal: 15 (SIGTERM), which is exit code 143"));
    let verdict = "\nnothing was lost, but a server did not leave as it should: 1 restarts, ";
    assert!(said.contains(verdict) && said.contains(" 0 failed, "));
    std::fs::remove_file(&script).unwrap();
    forget_logs(said);
}

fn forget_logs(said: &str) {
    let (_, logs) = said.split_once("logs in ").expect("they are kept");
    std::fs::remove_dir_all(logs.lines().next().unwrap()).unwrap();
}

/// Waits for the end of every process with this variable: they were killed, and may be about to end.
#[cfg(target_os = "linux")]
fn none_has_variable(variable: &str) {
    let begin = std::time::Instant::now();
    while has_variable(variable) {
        let waited = begin.elapsed();
        assert!(waited.as_secs() < 10, "a server was left running");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[cfg(target_os = "linux")]
fn has_variable(variable: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut all = processes.filter_map(|it| std::fs::read(it.path().join("environ")).ok());
    all.any(|environ| {
        environ
            .split(|&byte| byte == 0)
            .any(|it| it == variable.as_bytes())
    })
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_behind_a_shell_that_does_not_give_way_is_told_and_not_left_running() {
    let behind = format!("sh -c '{}; true'", server());
    let mark = format!("DRAIN_CHECK_TEST={}", std::process::id());
    let mut options = LOAD.to_vec();
    options.extend(["--env", &mark, "--restarts"]);
    let once = [&options[..], &["1"]].concat();
    let Some(output) = check("nginx", &behind, &once) else {
        return;
    };
    none_has_variable(&mark);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("the server behind it went on and was killed"));
    forget_logs(said);

    // Nor by a check that is stopped itself.
    for signal in ["TERM", "INT", "HUP"] {
        let mut command = Command::new(example("drain-check"));
        command.args(["--proxy", "nginx", "--server", &behind]);
        let mut child = command.args(&options).arg("1000").spawn().unwrap();
        while !has_variable(&mark) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let kill = format!("kill -{signal} {}", child.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(2), "{signal}");
        none_has_variable(&mark);
    }
}

/// Runs what cannot work, and returns its one problem.
fn problem(server: &str, options: &[&str]) -> Option<String> {
    let mut options = options.to_vec();
    options.extend(["--starts-within", "1", "--json"]);
    let output = check("nginx", server, &options)?;
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    assert_eq!(result["verdict"], "unknown");
    std::fs::remove_dir_all(result["logs"].as_str().unwrap()).unwrap();
    assert_eq!(result["problems"].as_array().unwrap().len(), 1);
    Some(result["problems"][0].as_str().unwrap().to_owned())
}

#[test]
fn what_is_no_server_is_told_from_a_server_and_in_its_own_words() {
    let Some(missing) = problem("./nothing-here", &[]) else {
        return;
    };
    assert!(missing.contains("it left before it listened") && missing.contains("not found"));
    let dies = problem("sh -c 'echo no database; exit 3'", &[]).unwrap();
    assert!(dies.contains("exit status: 3; it said last: no database"));
    let deaf = problem("sleep 60", &[]).unwrap();
    assert!(deaf.contains("nothing listens on"));
    let never = problem(&server(), &["--ready", "/nowhere"]).unwrap();
    assert!(never.contains("does not see a ready after 1s: HTTP/1.1 404"));
}

#[test]
fn a_wrong_option_is_named_before_anything_starts() {
    for (options, named) in [
        (["--restarts", "0"], "'--restarts <N>'"),
        (["--signal", "TERMINATE"], "'--signal <NAME>'"),
        (["--get", "index"], "'--get <PATH>'"),
        (["--proxy", "envoy"], "no proxy called `envoy`"),
        (["--stops-within", "0"], "'--stops-within"),
    ] {
        let mut command = Command::new(example("drain-check"));
        let output = command
            .args(["--server", "true"])
            .args(options)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains(named),
            "{options:?}: {}",
            text(&output.stderr)
        );
    }
}
