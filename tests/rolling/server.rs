//! One of the two servers behind the proxy: started, stopped by a signal, started anew on the same port.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::process::{accepts, spawn, terminate};

/// How to start a server and how to stop it: it is told its address by `ADDR`, and by `{addr}` or `{port}` in an argument
/// or in the value of a variable.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Its name without `SIG`.
    pub(crate) stop_signal: String,
    pub(crate) starts_within: Duration,
}

impl Recipe {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            stop_signal: "TERM".to_owned(),
            starts_within: Duration::from_secs(20),
        }
    }

    fn command(&self, addr: SocketAddr) -> Command {
        let mut command = Command::new(&self.program);
        let told = |text: &OsString| match text.to_str() {
            Some(text) => text
                .replace("{addr}", &addr.to_string())
                .replace("{port}", &addr.port().to_string())
                .into(),
            None => text.clone(),
        };
        command.args(self.args.iter().map(told));
        command.env("ADDR", addr.to_string());
        command.envs(self.env.iter().map(|(name, value)| (name, told(value))));
        command
    }
}

/// How a server left.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) after: Duration,
    /// The exit code, or what happened in its place: a signal, or no exit at all.
    pub(crate) code: Result<i32, String>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    recipe: Recipe,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts it and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not listen in time; the text names the log.
    pub(crate) async fn start(
        name: &'static str,
        addr: SocketAddr,
        recipe: Recipe,
        log: PathBuf,
    ) -> Result<Self, String> {
        let child = launch(name, addr, &recipe, &log).await?;
        Ok(Self {
            name,
            addr,
            recipe,
            log,
            child,
        })
    }

    /// The signal, then the end of the process, which is killed after `limit`.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Exit {
        let begin = Instant::now();
        let ended = terminate(&mut self.child, &self.recipe.stop_signal, limit).await;
        Exit {
            after: begin.elapsed(),
            code: ended.and_then(|status| status.code().ok_or_else(|| status.to_string())),
        }
    }

    /// A new process on the same port.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) async fn start_anew(&mut self) -> Result<(), String> {
        self.child = launch(self.name, self.addr, &self.recipe, &self.log).await?;
        Ok(())
    }
}

async fn launch(
    name: &str,
    addr: SocketAddr,
    recipe: &Recipe,
    log: &Path,
) -> Result<Child, String> {
    let said = |what: String| {
        let last = last_line(log);
        let last = last.map(|last| format!("; it said last: {last}"));
        let last = last.unwrap_or_default();
        format!("server {name}: {what}{last}; see {}", log.display())
    };
    let mut child =
        spawn(recipe.command(addr), log).map_err(|error| said(format!("cannot start: {error}")))?;
    accepts(addr, &mut child, recipe.starts_within)
        .await
        .map_err(said)?;
    Ok(child)
}

fn last_line(log: &Path) -> Option<String> {
    let text = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(last.trim().to_owned())
}
