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
        let mut child = Command::new(std::env::current_exe().unwrap())
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
    let handle = DrainHandle::new();
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(Timeouts::from_env()?)
        .signals(Signals::from_env()?);
    let shutdown = match scene {
        "logging" => {
            // A line that cannot be written is an `eprintln!`, which panics where stderr is gone.
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .log_internal_errors(true)
                .init();
            say("logging");
            wait_for_the_parent();
            shutdown
        }
        "early" => {
            say("installed");
            wait_for_the_parent();
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
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = std::env::var("SCENE").expect("run by another test");
    match runtime.block_on(scene(&name)) {
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
#[test]
fn systemd_is_told_ready_stopping_and_how_long_to_wait() {
    use std::os::unix::net::UnixDatagram;

    let path = std::env::temp_dir().join(format!("tower-drain-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(GENEROUS)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1"),
    ];
    let process = Process::start("serve", &variables);
    assert_eq!(told(), "READY=1");
    process.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(told(), "EXTEND_TIMEOUT_USEC=20000000");
    assert_eq!(process.end().0, Some(0));
    std::fs::remove_file(&path).unwrap();
}
