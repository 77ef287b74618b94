//! One of the two servers behind the proxy: started, stopped by SIGTERM, started anew on the same port.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::process::{accepts, spawn, terminate};

const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// How to start a server: it is told its address by `ADDR`, and by `{addr}` or `{port}` in an argument.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Recipe {
    fn command(&self, addr: SocketAddr) -> Command {
        let mut command = Command::new(&self.program);
        for arg in &self.args {
            match arg.to_str() {
                Some(text) => command.arg(
                    text.replace("{addr}", &addr.to_string())
                        .replace("{port}", &addr.port().to_string()),
                ),
                None => command.arg(arg),
            };
        }
        command.envs(self.env.iter().cloned());
        command.env("ADDR", addr.to_string());
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

    /// SIGTERM, then the end of the process, which is killed after `limit`.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Exit {
        let begin = Instant::now();
        let ended = terminate(&mut self.child, limit).await;
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
    let said = |what: String| format!("server {name}: {what}; see {}", log.display());
    let mut child =
        spawn(recipe.command(addr), log).map_err(|error| said(format!("cannot start: {error}")))?;
    accepts(addr, &mut child, STARTS_WITHIN)
        .await
        .map_err(said)?;
    Ok(child)
}
