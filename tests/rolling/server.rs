//! One of the two servers behind the proxy: started, stopped by a signal, started anew on the same port.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::process::{accepts, is_free, spawn, terminate, Group};

/// How long what is killed may keep its port.
const FREE_WITHIN: Duration = Duration::from_secs(2);

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
        command.process_group(0);
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
    /// The signal that it died by.
    pub(crate) signal: Option<i32>,
    /// What had the signal has ended, and the server listened on.
    pub(crate) outlived: bool,
}

impl Exit {
    /// The exit code as a shell has it: 128 and the number of the signal for a death by one.
    pub(crate) fn shell_code(&self) -> Option<i32> {
        let killed = self.signal.map(|signal| 128 + signal);
        self.code.as_ref().ok().copied().or(killed)
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    recipe: Recipe,
    log: PathBuf,
    // Before the child: its number is its own for as long as that is not waited for.
    group: Group,
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
        let (group, child) = launch(name, addr, &recipe, &log).await?;
        Ok(Self {
            name,
            addr,
            recipe,
            log,
            group,
            child,
        })
    }

    /// The signal, then the end of the process, which is killed after `limit`. What it leaves behind is killed too.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Exit {
        let begin = Instant::now();
        let ended = terminate(&mut self.child, &self.recipe.stop_signal, limit).await;
        let after = begin.elapsed();
        let outlived = ended.is_ok() && !is_free(self.addr, Duration::ZERO).await;
        self.group.kill();
        Exit {
            after,
            signal: ended.as_ref().ok().and_then(ExitStatus::signal),
            code: ended.and_then(|status| status.code().ok_or_else(|| status.to_string())),
            outlived,
        }
    }

    /// A new process on the same port.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and if the old server cannot be ended.
    pub(crate) async fn start_anew(&mut self) -> Result<(), String> {
        let (name, addr) = (self.name, self.addr);
        if !is_free(addr, FREE_WITHIN).await {
            return Err(format!(
                "server {name}: it left its process group and listens on {addr} still: start it in the foreground"
            ));
        }
        (self.group, self.child) = launch(name, addr, &self.recipe, &self.log).await?;
        Ok(())
    }
}

async fn launch(
    name: &str,
    addr: SocketAddr,
    recipe: &Recipe,
    log: &Path,
) -> Result<(Group, Child), String> {
    let said = |what: String| {
        let last = last_line(log);
        let last = last.map(|last| format!("; it said last: {last}"));
        let last = last.unwrap_or_default();
        format!("server {name}: {what}{last}; see {}", log.display())
    };
    let mut child =
        spawn(recipe.command(addr), log).map_err(|error| said(format!("cannot start: {error}")))?;
    let group = Group::of(&child);
    accepts(addr, &mut child, recipe.starts_within)
        .await
        .map_err(said)?;
    Ok((group, child))
}

fn last_line(log: &Path) -> Option<String> {
    let text = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(last.trim().to_owned())
}
