//! What this program can be: the whole play, or one of its roles.

mod client;
mod coordinator;
mod fleet;
mod handoff;
mod health;
mod job;
mod jobs;
mod kept;
mod play;
mod say;
mod stage;
mod told;
mod wire;
mod worker;

use std::env;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use tower_drain::{BoxError, DrainReason};

use self::say::Say;

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Runtime::new()?;
    let code = runtime.block_on(async {
        match arguments[..] {
            [] => play::run().await,
            ["coordinator"] => coordinator::run(Say::new("coordinator")).await,
            ["worker", name] => worker::run(name, Say::new(name)).await,
            _ => Err("one of: no argument, `coordinator`, `worker NAME`".into()),
        }
    });
    // A job that could not be frozen must not hold the exit.
    runtime.shutdown_background();
    code
}

fn seconds(name: &str, default: f64) -> Result<Duration, BoxError> {
    let Some(value) = env::var_os(name) else {
        return Ok(Duration::from_secs_f64(default));
    };
    let seconds = value.to_str().and_then(|value| value.parse().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("{name}: {value:?} is not a number of seconds").into())
}

fn state() -> Result<PathBuf, BoxError> {
    let directory = env::var_os("STATE").ok_or("STATE: set a directory for what is kept")?;
    Ok(directory.into())
}

/// Resolves when the process that started this one is gone, so that none is left behind.
async fn orphaned() -> DrainReason {
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    "whoever started it is gone".into()
}
