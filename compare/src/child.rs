//! A server as a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::peer::Peer;

const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// A server that is still there so long after SIGTERM is killed.
pub(crate) const KILLED_AFTER: Duration = Duration::from_secs(15);

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Child {
    pub addr: SocketAddr,
    process: tokio::process::Child,
}

/// How a server left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The exit code; `None` if a signal ended it.
    Left {
        after: Duration,
        code: Option<i32>,
    },
    Killed,
}

impl Child {
    /// Starts `program` as the server and waits until it says where it listens.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn start(program: &Path, peer: Peer) -> Result<Self, String> {
        let name = peer.name();
        let mut process = Command::new(program)
            .args(["serve", name])
            .env_remove("ADDR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What a server logs of its losses is told by its clients.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name}: cannot start: {error}"))?;
        let stdout = process.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(STARTS_WITHIN, lines.next_line()).await;
        match line {
            Ok(Ok(Some(line))) => {
                let addr = line
                    .parse()
                    .map_err(|_| format!("{name}: no address: `{line}`"))?;
                Ok(Self { addr, process })
            }
            _ => Err(format!("{name}: it does not say where it listens")),
        }
    }

    /// SIGTERM, then the end of the process.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent, or the process not be waited for.
    pub async fn stop(mut self) -> Result<Exit, String> {
        let pid = self.process.id().ok_or("it left before the signal")?;
        let pid = Pid::from_raw(pid.try_into().map_err(|_| "no process id")?);
        let begin = Instant::now();
        kill(pid, Signal::SIGTERM).map_err(|error| error.to_string())?;
        match timeout(KILLED_AFTER, self.process.wait()).await {
            Ok(status) => Ok(Exit::Left {
                after: begin.elapsed(),
                code: status.map_err(|error| error.to_string())?.code(),
            }),
            Err(_) => {
                self.process
                    .kill()
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Exit::Killed)
            }
        }
    }
}
