//! HTTP/2 by h2load, which keeps its connections until a GOAWAY.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::board::Counts;
use crate::outcome::{judge, Limits, Outcome, Problem, Restart};
use crate::process::{find_program, free_addr, Folder};
use crate::server::{Recipe, Server};

/// Eight connections with up to ten streams each, so many requests a second in all.
const LOAD: [&str; 6] = ["-c", "8", "-m", "10", "--rps", "125"];
const PER_SECOND: u64 = 8 * 125;
/// What is certainly under way by then.
const BEFORE_THE_SIGNAL: Duration = Duration::from_secs(1);

/// The two lines of h2load that count, and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Those that it sent. It also counts as started, and as failed, what its clock told it to send on a connection that
    /// the server had ended by then; in its log these never began.
    pub(crate) started: u64,
    /// With a status of 2xx.
    pub(crate) succeeded: u64,
    pub(crate) status_5xx: u64,
}

impl Figures {
    pub(crate) fn failed(self) -> u64 {
        self.started - self.succeeded
    }

    fn read(text: &str, log: &str) -> Option<Self> {
        let number = |line: &str, what: &str| -> Option<u64> {
            let line = text.lines().find_map(|row| row.strip_prefix(line))?;
            let mut parts = line.split(", ");
            let part = parts.find_map(|part| part.trim().strip_suffix(what))?;
            part.trim().parse().ok()
        };
        let unsent = log.lines().filter(|row| row.starts_with("0\t-1\t")).count();
        Some(Self {
            started: number("requests:", " started")? - unsent as u64,
            succeeded: number("status codes:", " 2xx")?,
            status_5xx: number("status codes:", " 5xx")?,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, started, with_5xx) = (self.failed(), self.started, self.status_5xx);
        write!(
            f,
            "{failed} of {started} HTTP/2 requests failed, {with_5xx} with a 5xx"
        )
    }
}

/// When h2load is through. It counts exactly only what it was told to send: at the end of a time, requests that are
/// under way look like lost ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Through {
    /// After as many requests as take so many seconds. For a proxy, which goes on to answer.
    Sent(u64),
    /// After so many seconds. For a server that is gone by then, so that nothing is under way.
    Over(u64),
}

/// Starts h2load, over `http` with prior knowledge of HTTP/2.
pub(crate) fn load(
    scheme: &'static str,
    addr: SocketAddr,
    through: Through,
) -> JoinHandle<Result<Figures, String>> {
    let (flag, value) = match through {
        Through::Sent(seconds) => ("-n", seconds * PER_SECOND),
        Through::Over(seconds) => ("-D", seconds),
    };
    tokio::spawn(async move {
        let program = find_program("h2load").ok_or("h2load is not installed")?;
        let folder = Folder::new("h2load-log").map_err(|error| error.to_string())?;
        let log = folder.path().join("requests.tsv");
        let output = Command::new(program)
            .args([flag, &value.to_string()])
            .args(LOAD)
            .arg("--log-file")
            .arg(&log)
            .arg(format!("{scheme}://{addr}/"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let Output { stdout, stderr, .. } = output.map_err(|error| error.to_string())?;
        let log = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        Figures::read(&String::from_utf8_lossy(&stdout), &log).ok_or_else(|| {
            let said = String::from_utf8_lossy(&stderr);
            format!("h2load says nothing that can be read: {said}")
        })
    })
}

/// Stops a server `stops` times while h2load talks to it, without a proxy between.
pub(crate) async fn direct(
    recipe: &Recipe,
    server: &str,
    stops: usize,
    stops_within: Duration,
    mut tell: impl FnMut(&Restart),
) -> Outcome {
    let begin = Instant::now();
    let mut outcome = Outcome {
        front: "h2load alone",
        server: server.to_owned(),
        took: Duration::ZERO,
        restarts: Vec::new(),
        total: Counts::default(),
        failures: Vec::new(),
        problems: Vec::new(),
        logs: None,
    };
    let done = async {
        let folder = Folder::new("h2load").map_err(|error| error.to_string())?;
        for number in 1..=stops {
            let (restart, figures) =
                stop_under_load(recipe, number, stops_within, folder.path()).await?;
            tell(&restart);
            outcome
                .problems
                .extend(judge(&restart, &Limits::new(stops_within), false));
            if figures.failed() > 0 {
                outcome.problems.push(Problem::FailedH2(figures));
            }
            outcome.total.add(restart.counts);
            outcome.restarts.push(restart);
        }
        if !outcome.problems.is_empty() {
            outcome.logs = Some(folder.keep());
        }
        Ok(())
    };
    if let Err(what) = done.await {
        outcome.problems.push(Problem::Broken(what));
    }
    outcome.took = begin.elapsed();
    outcome
}

async fn stop_under_load(
    recipe: &Recipe,
    number: usize,
    stops_within: Duration,
    folder: &Path,
) -> Result<(Restart, Figures), String> {
    let log = folder.join("server.log");
    let mut server = Server::start("a", free_addr(), recipe.clone(), log).await?;
    let begin = Instant::now();
    let load = load(
        "http",
        server.addr,
        Through::Over(stops_within.as_secs() + 2),
    );
    sleep(BEFORE_THE_SIGNAL).await;
    let exit = server.stop(2 * stops_within).await;
    let took = begin.elapsed();
    let figures = load.await.map_err(|error| error.to_string())??;
    let restart = Restart {
        number,
        server: server.name,
        exit,
        took,
        counts: figures.into(),
    };
    Ok((restart, figures))
}

impl From<Figures> for Counts {
    fn from(figures: Figures) -> Self {
        Self {
            answered: figures.succeeded,
            failed: figures.failed(),
            ..Self::default()
        }
    }
}
