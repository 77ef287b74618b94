//! The server's process.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app;
use crate::steps::{Progress, Report, Step, Steps};

/// Nothing takes so long, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Gives the sockets of the server a rate in bytes a second, which connections inherit from the socket that listens.
/// Rust has no call for it without `unsafe`.
const PACED: &str = "
import os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, 47, int(sys.argv[1]))  # SO_MAX_PACING_RATE
listener.bind(('127.0.0.1', 0))
listener.listen(1024)
os.dup2(listener.fileno(), 0)
os.execv(sys.argv[2], sys.argv[2:])
";

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    before: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Recipe {
    /// With time to spare for everything, and a short lame duck.
    pub(crate) fn new(by: &str) -> Self {
        let before = Vec::new();
        let env = vec![(app::SERVER, by.to_owned())];
        Self { before, env }
            .with("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.4")
            .with("GRACEFUL_SHUTDOWN_SETTLE", "0.1")
            .with("GRACEFUL_SHUTDOWN_TIMEOUT", "60")
            .with("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "20")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// With a lame duck in which a program can start.
    pub(crate) fn with_time_to_start(self) -> Self {
        self.with("GRACEFUL_SHUTDOWN_LAME_DUCK", "1.5")
    }

    /// Started by this command, which becomes the server.
    pub(crate) fn by(mut self, words: &[&str]) -> Self {
        self.before.extend(words.iter().map(|&word| word.into()));
        self
    }

    /// Each connection is sent at most so many bytes a second.
    pub(crate) fn paced(self, rate: u64) -> Self {
        let python = ["python3", "-c", PACED, &rate.to_string()];
        self.by(&python).with(app::STDIN, "1")
    }

    fn command(&self) -> Command {
        let this = std::env::current_exe().expect("this program has a path");
        let mut words = self.before.clone();
        words.push(this.to_str().expect("UTF-8").to_owned());
        let harness = [
            "--exact",
            "server",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ];
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(harness)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) steps: Steps,
    child: Child,
    log: JoinHandle<String>,
}

/// What a server has left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) admitted: HashSet<u64>,
    pub(crate) report: Report,
    pub(crate) code: i32,
    pub(crate) log: String,
}

impl Server {
    pub(crate) async fn start(recipe: &Recipe) -> Self {
        let mut child = recipe.command().spawn().expect("the server starts");
        let mut stderr = child.stderr.take().expect("piped");
        let log = tokio::spawn(async move {
            let mut log = Vec::new();
            let _ = stderr.read_to_end(&mut log).await;
            String::from_utf8_lossy(&log).into_owned()
        });
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (progress, steps) = watch::channel(Progress::default());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                progress.send_modify(|progress| progress.hear(&line));
            }
            progress.send_modify(|progress| progress.step = Step::Left);
        });
        let steps = Steps(steps);
        within("the server listens", steps.reached(Step::Serving)).await;
        let addr = steps.0.borrow().addr;
        let Some(addr) = addr else {
            panic!("the server left: {}", log.await.unwrap_or_default());
        };
        Self {
            addr,
            steps,
            child,
            log,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it still runs");
        kill(Pid::from_raw(pid as i32), signal).expect("it still runs");
    }

    /// Waits until the process is gone.
    pub(crate) async fn exits(&mut self) -> Option<i32> {
        let status = within("the server leaves", self.child.wait()).await;
        status.expect("a child of this process").code()
    }

    pub(crate) async fn end(mut self) -> Ended {
        let code = self.exits().await;
        within("its last line", self.steps.reached(Step::Left)).await;
        let log = within("its log", self.log).await.unwrap_or_default();
        let Progress {
            admitted, report, ..
        } = self.steps.0.borrow().clone();
        let (Some(report), Some(code)) = (report, code) else {
            panic!("no report, exit code {code:?}: {log}");
        };
        Ended {
            admitted,
            report,
            code,
            log,
        }
    }
}

pub(crate) async fn within<T>(what: &str, future: impl std::future::Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}
