//! Real signals, real variables and real exit codes: each test runs this binary again as a process of its own.
#![cfg(all(unix, feature = "shutdown"))]

use std::future::pending;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::Duration;

use tower_drain::{BoxError, DrainHandle, Shutdown, ShutdownReport, Signals, Stop, Timeouts};

const GENEROUS: Duration = Duration::from_secs(60);

struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    fn start(scene: &str, variables: &[(&str, &str)]) -> Self {
        let this = Command::new(std::env::current_exe().unwrap());
        Self::start_by(this, scene, variables)
    }

    /// Started by a program that leaves its child with something set.
    #[cfg(target_os = "linux")]
    fn start_under(command: &[&str], scene: &str, variables: &[(&str, &str)]) -> Self {
        let mut under = Command::new(command[0]);
        under
            .args(&command[1..])
            .arg(std::env::current_exe().unwrap());
        Self::start_by(under, scene, variables)
    }

    fn start_by(mut this: Command, scene: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = this
            .args([
                "--exact",
                "child",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("SCENE", scene)
            .env("GRACEFUL_SHUTDOWN_SETTLE", "0")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let stdin = child.stdin.take().unwrap();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// Waits until the process says so; returns what it said before.
    fn expect(&self, what: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(GENEROUS) {
                Ok(line) if line == what => return before,
                Ok(line) => before.push(line),
                Err(error) => panic!("no {what:?} ({error}) after {before:#?}"),
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success());
    }

    fn go_on(&mut self) {
        writeln!(self.stdin).unwrap();
    }

    /// Whether it is still there after a moment that is long for what ends it.
    fn lives_on(&mut self) -> bool {
        thread::sleep(Duration::from_millis(300));
        self.child.try_wait().unwrap().is_none()
    }

    /// The exit code, what else was said, and stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut said = Vec::new();
        // Until the process closes its end.
        while let Ok(line) = self.lines.recv_timeout(GENEROUS) {
            said.push(line);
        }
        let mut stderr = String::new();
        if let Some(mut open) = self.child.stderr.take() {
            open.read_to_string(&mut stderr).unwrap();
        }
        let status = self.child.wait().unwrap();
        (status.code(), said.join("\n"), stderr)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
    }
}

fn say(what: &str) {
    println!("{what}");
    std::io::stdout().flush().unwrap();
}

fn wait_for_the_parent() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn scene(scene: &str) -> Result<ShutdownReport, BoxError> {
    if scene == "logging" {
        // A line that cannot be written is an `eprintln!`, which panics where stderr is gone.
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .log_internal_errors(true)
            .init();
    }
    let handle = DrainHandle::new();
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(Timeouts::from_env()?)
        .signals(Signals::from_env()?);
    let shutdown = match scene {
        "logging" => {
            say("logging");
            wait_for_the_parent();
            shutdown
        }
        "early" => {
            say("installed");
            // The thread is blocked, as by a start that hangs.
            wait_for_the_parent();
            shutdown
        }
        "dropped" => {
            drop(shutdown);
            say("dropped");
            pending().await
        }
        "cancelled" => {
            let run = shutdown.run(|_| pending::<Result<(), BoxError>>());
            drop(tokio::time::timeout(Duration::from_millis(10), run).await);
            say("dropped");
            pending().await
        }
        "another" => {
            drop(Shutdown::new(handle.clone()));
            shutdown
        }
        "stuck" => {
            tokio::spawn(handle.track(pending::<()>())?);
            shutdown
        }
        "hanging" => {
            tokio::spawn(handle.track(pending::<()>())?);
            shutdown.on_cut("hang", Duration::from_secs(10), |_| async {
                say("cutting");
                pending().await
            })
        }
        _ => shutdown,
    };
    let draining = handle.draining();
    tokio::spawn(async move {
        draining.await;
        say("draining");
    });
    let serve = |stop: Stop| async {
        say("serving");
        stop.await;
        Ok::<_, BoxError>(())
    };
    shutdown.run(serve).await
}

#[test]
#[ignore = "what the other tests run in a process of its own"]
fn child() {
    // The harness has begun a line.
    say("");
    let mut builder = match std::env::var_os("ONE_THREAD") {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().unwrap();
    let name = std::env::var("SCENE").expect("run by another test");
    if name == "without a runtime" {
        runtime.block_on(async { drop(Shutdown::new(DrainHandle::new())) });
        drop(runtime);
        say("dropped");
        wait_for_the_parent();
        return;
    }
    match runtime.block_on(scene(&name)) {
        Ok(report) if name == "hangs at its end" => {
            say(&report.to_string());
            say("over");
            wait_for_the_parent();
        }
        Ok(report) => {
            say(&report.to_string());
            std::process::exit(i32::from(report.exit_code() != ExitCode::SUCCESS));
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
}

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

#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::path::PathBuf;

    use super::*;

    const SHORT: (&str, &str) = ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1");

    fn path(name: &str) -> PathBuf {
        let name = format!("tower-drain-{}-{name}.sock", std::process::id());
        std::env::temp_dir().join(name)
    }

    fn bind(name: &str) -> (UnixDatagram, PathBuf) {
        let path = path(name);
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(GENEROUS)).unwrap();
        (socket, path)
    }

    fn told(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    }

    /// Drains a process that tells `socket`, by the address `notify`.
    fn is_told(socket: &UnixDatagram, notify: &str) {
        let process = Process::start("serve", &[("NOTIFY_SOCKET", notify), SHORT]);
        assert_eq!(told(socket), "READY=1");
        process.signal("TERM");
        assert_eq!(told(socket), "STOPPING=1");
        assert_eq!(told(socket), "EXTEND_TIMEOUT_USEC=20000000");
        assert_eq!(process.end().0, Some(0));
    }

    #[test]
    fn it_is_told_ready_stopping_and_how_long_to_wait() {
        let (socket, path) = bind("told");
        is_told(&socket, path.to_str().unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn it_is_told_by_an_abstract_name() {
        let name = format!("tower-drain/{}@told", std::process::id());
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&addr).unwrap();
        socket.set_read_timeout(Some(GENEROUS)).unwrap();
        is_told(&socket, &format!("@{name}"));
    }

    /// Until nothing more goes in.
    fn fill(socket: &UnixDatagram, path: &PathBuf) -> usize {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let filled = (0..).take_while(|_| sender.send_to(b"X=1", path).is_ok());
        let filled = filled.count();
        assert!(filled > 0, "{socket:?}");
        filled
    }

    #[test]
    fn one_that_does_not_read_stops_neither_the_service_nor_its_signals() {
        let (socket, path) = bind("full");
        fill(&socket, &path);
        let variables = [
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("GRACEFUL_SHUTDOWN_LAME_DUCK", "5"),
        ];
        let process = Process::start("hanging", &variables);
        process.expect("serving");
        process.signal("TERM");
        process.signal("INT");
        process.expect("cutting");
        process.signal("INT");
        assert_eq!(process.end().0, Some(1));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn one_that_was_full_is_told_once_it_reads() {
        let (socket, path) = bind("late");
        let filled = fill(&socket, &path);
        let process = Process::start("serve", &[("NOTIFY_SOCKET", path.to_str().unwrap()), SHORT]);
        process.expect("serving");
        for _ in 0..filled {
            assert_eq!(told(&socket), "X=1");
        }
        assert_eq!(told(&socket), "READY=1");
        process.signal("TERM");
        assert_eq!(told(&socket), "STOPPING=1");
        assert_eq!(process.end().0, Some(0));
        std::fs::remove_file(&path).unwrap();
    }

    /// The lines of a process that could not tell.
    fn warnings(notify: &str, lame_duck: &str) -> Vec<String> {
        let variables = [
            ("NOTIFY_SOCKET", notify),
            ("GRACEFUL_SHUTDOWN_LAME_DUCK", lame_duck),
        ];
        let mut process = Process::start("logging", &variables);
        process.expect("logging");
        process.go_on();
        process.expect("serving");
        process.signal("TERM");
        let (code, said, stderr) = process.end();
        assert_eq!(code, Some(0), "{said}\n{stderr}");
        let lines = stderr.lines().filter(|line| line.contains("systemd"));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn what_cannot_be_told_is_said_once_for_each_message() {
        // The extension is told again after 5 s.
        let gone = path("gone");
        let lines = warnings(gone.to_str().unwrap(), "5.5");
        for message in ["READY", "STOPPING", "EXTEND_TIMEOUT_USEC"] {
            let of_it = lines.iter().filter(|line| line.contains(message));
            assert_eq!(of_it.count(), 1, "{message}: {lines:#?}");
        }
        assert_eq!(lines.len(), 3, "{lines:#?}");
    }

    #[test]
    fn an_address_that_is_not_supported_is_said_once() {
        for notify in ["vsock:2:1234", "vsock-stream:2:1234", "relative/path"] {
            let lines = warnings(notify, "0.1");
            assert_eq!(lines.len(), 1, "{lines:#?}");
            assert!(lines[0].contains(notify), "{lines:#?}");
        }
        // Nothing is there to tell.
        assert_eq!(warnings("", "0.1"), [""; 0]);
    }
}
