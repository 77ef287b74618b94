//! Real signals, real variables and real exit codes: each test runs this binary again as a process of its own.
#![cfg(all(unix, feature = "shutdown"))]

mod signals;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd;

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
