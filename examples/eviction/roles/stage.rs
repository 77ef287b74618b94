//! The processes of the play.

use std::env;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower_drain::BoxError;

use super::say::{Say, BEGUN};

const LIMIT: Duration = Duration::from_secs(20);

/// What the play sets, unless it is set.
const SHORTENED: [(&str, &str); 7] = [
    ("HANDOFF_SECONDS", "4"),
    ("TTL_SECONDS", "6"),
    ("FREEZE_SECONDS", "0.5"),
    ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.5"),
    ("GRACEFUL_SHUTDOWN_SETTLE", "0.1"),
    ("GRACEFUL_SHUTDOWN_TIMEOUT", "1"),
    ("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "0.5"),
];

pub(crate) struct Stage {
    pub(crate) socket: TcpListener,
    state: PathBuf,
    say: Say,
}

impl Stage {
    pub(crate) fn set(say: Say) -> Result<Self, BoxError> {
        let state = env::temp_dir().join(format!("eviction-{}", std::process::id()));
        std::fs::create_dir(&state)?;
        let socket = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self { socket, state, say })
    }

    pub(crate) fn coordinator(&self) -> Result<Actor, BoxError> {
        let socket = OwnedFd::from(self.socket.try_clone()?);
        self.start("coordinator", &["coordinator"], socket.into())
    }

    pub(crate) fn worker(&self, name: &'static str) -> Result<Actor, BoxError> {
        self.start(name, &["worker", name], Stdio::null())
    }

    fn start(&self, name: &'static str, role: &[&str], stdin: Stdio) -> Result<Actor, BoxError> {
        let unset = |(name, _): &(&str, &str)| env::var_os(name).is_none();
        let child = Command::new(env::current_exe()?)
            .args(role)
            .envs(SHORTENED.into_iter().filter(unset))
            .env("STATE", &self.state)
            .env("COORDINATOR", self.socket.local_addr()?.to_string())
            .env(BEGUN, self.say.begun_unix_ms())
            .stdin(stdin)
            .kill_on_drop(true)
            .spawn()?;
        let say = self.say.clone();
        Ok(Actor { name, child, say })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.state).unwrap_or_default();
    }
}

pub(crate) struct Actor {
    name: &'static str,
    child: Child,
    say: Say,
}

impl Actor {
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), BoxError> {
        self.say.line(format_args!("{signal} to {}", self.name));
        let id = self.child.id().ok_or("it has exited")?;
        Ok(kill(Pid::from_raw(id.try_into()?), signal)?)
    }

    /// Until it has exited, with 0 unless it was killed.
    pub(crate) async fn exit(mut self) -> Result<(), BoxError> {
        let name = self.name;
        let ended = timeout(LIMIT, self.child.wait()).await;
        let status = ended.map_err(|_| format!("{name} does not exit"))??;
        match status.code() {
            Some(0) => self.say.line(format_args!("{name} has exited with 0")),
            Some(_) => return Err(format!("{name}: {status}").into()),
            None => self.say.line(format_args!("{name} is dead")),
        }
        Ok(())
    }
}
