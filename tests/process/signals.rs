//! What a signal comes to, and what the process says and ends with.

use crate::*;

#[test]
fn sigterm_drains_and_the_exit_code_is_0() {
    let process = Process::start("serve", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1")]);
    process.expect("serving");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    assert!(said.contains(": SIGTERM"), "{said}");
}

#[test]
fn a_signal_before_the_server_runs_ends_nothing_and_is_not_lost() {
    let mut process = Process::start("early", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1")]);
    process.expect("installed");
    process.signal("TERM");
    process.go_on();
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    assert!(said.contains(": SIGTERM"), "{said}");
}

#[test]
fn a_third_sigint_ends_a_start_that_hangs() {
    let one_thread: &[_] = &[("ONE_THREAD", "1")];
    for variables in [&[], one_thread] {
        let mut process = Process::start("early", variables);
        process.expect("installed");
        process.signal("TERM");
        for _ in 0..2 {
            process.signal("INT");
            assert!(process.lives_on());
        }
        process.signal("INT");
        let (code, said, stderr) = process.end();
        assert_eq!(code, Some(130), "{said}\n{stderr}");
    }
}

#[test]
fn signals_end_a_process_whose_shutdown_was_dropped() {
    for scene in ["dropped", "cancelled", "without a runtime"] {
        for (signal, code) in [("TERM", 143), ("INT", 130)] {
            let process = Process::start(scene, &[]);
            process.expect("dropped");
            process.signal(signal);
            let (is, said, stderr) = process.end();
            assert_eq!(is, Some(code), "{scene}, {signal}: {said}\n{stderr}");
        }
    }
}

#[test]
fn a_shutdown_that_was_dropped_leaves_the_signals_to_one_that_runs() {
    let process = Process::start("another", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.4")]);
    process.expect("serving");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    assert!(said.contains(": SIGTERM"), "{said}");
}

#[test]
fn signals_stay_caught_when_the_shutdown_is_over() {
    let variables = [("GRACEFUL_SHUTDOWN_LAME_DUCK", "0")];
    let mut process = Process::start("hangs at its end", &variables);
    process.expect("serving");
    process.signal("TERM");
    process.expect("over");
    for signal in ["TERM", "INT", "INT", "INT"] {
        process.signal(signal);
    }
    assert!(process.lives_on());
    process.go_on();
    assert_eq!(process.end().0, Some(0));
}

/// What `env`, of GNU, leaves its child with.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_blocked_from_the_start_is_told_and_one_that_was_ignored_is_heard() {
    let variables = [("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1")];
    let started = |option: &str| {
        let mut process = Process::start_under(&["env", option], "logging", &variables);
        process.expect("logging");
        process.go_on();
        process.expect("serving");
        process
    };
    let blocked = |stderr: &str| {
        let lines = stderr.lines().filter(|line| line.contains("blocked"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let process = started("--block-signal=TERM");
    process.signal("TERM");
    process.signal("INT");
    let (code, said, stderr) = process.end();
    assert!(said.contains(": SIGINT"), "{said}");
    assert_eq!(code, Some(0));
    let lines = blocked(&stderr);
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].contains("WARN tower_drain::shutdown: SIGTERM "));

    let mut process = started("--block-signal=INT,TERM");
    process.signal("TERM");
    process.signal("INT");
    assert!(process.lives_on());
    process.signal("KILL");
    let (_, _, stderr) = process.end();
    assert_eq!(blocked(&stderr).len(), 1, "{stderr}");
    assert!(blocked(&stderr)[0].contains("SIGINT and SIGTERM"));

    let process = started("--ignore-signal=TERM");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    assert!(said.contains(": SIGTERM"), "{said}");
    assert!(blocked(&stderr).is_empty(), "{stderr}");
}

#[test]
fn an_empty_variable_is_warned_of_and_counts_as_not_set() {
    let variables = [
        ("GRACEFUL_SHUTDOWN_TIMEOUT", ""),
        ("GRACEFUL_SHUTDOWN_SECOND_SIGNAL", ""),
        ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1"),
    ];
    let mut process = Process::start("logging", &variables);
    process.expect("logging");
    process.go_on();
    process.expect("serving");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    for (name, value) in variables {
        let warns = |line: &str| line.contains("WARN") && line.contains(name);
        let lines = stderr.lines().filter(|line| warns(line)).count();
        assert_eq!(lines, usize::from(value.is_empty()), "{name}: {stderr}");
    }
}

/// As with `server 2>&1 | tee log` in a terminal: the same signal ends both.
#[test]
fn whoever_read_the_log_may_be_gone() {
    let mut process = Process::start("logging", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1")]);
    process.expect("logging");
    drop(process.child.stderr.take());
    process.go_on();
    process.expect("serving");
    process.signal("TERM");
    let (code, said, _) = process.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(": SIGTERM"), "{said}");
}

#[test]
fn a_second_sigterm_cuts_and_the_exit_code_is_1() {
    // The lame duck is longer than two signals that are one.
    let process = Process::start("stuck", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.3")]);
    process.expect("serving");
    process.signal("TERM");
    process.expect("draining");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(1), "{said}\n{stderr}");
    assert!(said.contains("1 cut"), "{said}");
}

#[test]
fn sigint_cuts_without_a_lame_duck_and_one_more_waits_for_no_hook() {
    let process = Process::start("hanging", &[("GRACEFUL_SHUTDOWN_LAME_DUCK", "5")]);
    process.expect("serving");
    process.signal("INT");
    process.expect("cutting");
    process.signal("INT");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(1), "{said}\n{stderr}");
    assert!(
        said.contains(": SIGINT") && !said.contains("lame duck 5"),
        "{said}"
    );
    assert!(said.contains("hang: unfinished"), "{said}");
}

#[test]
fn sigint_drains_where_the_variable_says_so() {
    let variables = [
        ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1"),
        ("GRACEFUL_SHUTDOWN_SIGINT", "drain"),
    ];
    let process = Process::start("serve", &variables);
    process.expect("serving");
    process.signal("INT");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    assert!(!said.contains("lame duck 0.0 s"), "{said}");
}

#[test]
fn a_bad_variable_ends_the_process_before_it_serves() {
    for (name, value) in [
        ("GRACEFUL_SHUTDOWN_TIMEOUT", "1e999"),
        ("GRACEFUL_SHUTDOWN_SECOND_SIGNAL", "maybe"),
    ] {
        let process = Process::start("serve", &[(name, value)]);
        let (code, said, stderr) = process.end();
        assert_eq!(code, Some(2), "{said}\n{stderr}");
        assert!(
            stderr.contains(&format!("{name}={value:?} is not")),
            "{stderr}"
        );
        assert!(!said.contains("serving"), "{said}");
    }
}
