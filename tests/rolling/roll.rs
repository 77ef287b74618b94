//! One run: two servers behind a proxy, restarted one after the other under load.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::board::{Board, Counts, Failure, Step};
use crate::load::{Load, Paths};
use crate::process::{free_addr, Folder};
use crate::proxy::{Kind, Proxy};
use crate::server::{Exit, Recipe, Server};

/// A server that is still there so long after SIGTERM is killed.
const KILLED_AFTER: Duration = Duration::from_secs(30);
/// The least of answers by which a server counts as part of the run.
const JOINED: u64 = 50;
const JOINS_WITHIN: Duration = Duration::from_secs(15);
/// The least of load. A run in which hardly anything happens shows nothing.
const ANSWERS_PER_SECOND: f64 = 100.0;
const STREAMS_PER_RESTART: u64 = 2;

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) proxy: Kind,
    pub(crate) recipe: Recipe,
    pub(crate) server: String,
    pub(crate) paths: Paths,
    pub(crate) ready: String,
    pub(crate) restarts: usize,
    pub(crate) clients: usize,
    /// Between two requests of one client.
    pub(crate) pause: Duration,
    /// The longest that a stop may take.
    pub(crate) stops_within: Duration,
}

/// One restart as its clients saw it.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    pub(crate) number: usize,
    pub(crate) server: &'static str,
    pub(crate) exit: Exit,
    /// From the signal until the proxy sends the new process requests.
    pub(crate) took: Duration,
    pub(crate) counts: Counts,
}

/// A whole run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) proxy: Kind,
    pub(crate) server: String,
    pub(crate) took: Duration,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) total: Counts,
    pub(crate) failures: Vec<Failure>,
    pub(crate) problems: Vec<Problem>,
    /// Where the logs are, if there are problems.
    pub(crate) logs: Option<PathBuf>,
}

/// Why a run is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    Failed(u64),
    Exit {
        restart: usize,
        what: String,
    },
    Slow {
        restart: usize,
        stop: Duration,
        limit: Duration,
    },
    Idle {
        restart: usize,
        what: String,
    },
    /// The run could not go on.
    Broken(String),
}

impl Problem {
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(count) => write!(f, "{count} failed requests"),
            Self::Exit { restart, what } => write!(f, "restart {restart}: {what}"),
            Self::Slow {
                restart,
                stop,
                limit,
            } => write!(
                f,
                "restart {restart}: the stop took {:.1} s, more than {:.1} s",
                stop.as_secs_f64(),
                limit.as_secs_f64()
            ),
            Self::Idle { restart, what } => write!(f, "restart {restart}: {what}"),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl Run {
    /// Does it, and tells each restart to `tell`.
    pub(crate) async fn roll(&self, mut tell: impl FnMut(&Self, &Restart)) -> Outcome {
        let begin = Instant::now();
        let board = Board::new();
        let mut restarts = Vec::new();
        let folder = Folder::new(self.proxy.name());
        let done = match &folder {
            Ok(folder) => {
                let each = |restart: Restart| {
                    tell(self, &restart);
                    restarts.push(restart);
                };
                self.restart_all(folder, &board, each).await
            }
            Err(error) => Err(format!("no temporary folder: {error}")),
        };
        let mut problems = self.problems(&restarts, board.counts());
        problems.extend(done.err().map(Problem::Broken));
        let logs = folder.ok().and_then(|folder| {
            if problems.is_empty() {
                folder.remove();
                return None;
            }
            Some(folder.path().to_owned())
        });
        Outcome {
            proxy: self.proxy,
            server: self.server.clone(),
            took: begin.elapsed(),
            restarts,
            total: board.counts(),
            failures: board.failures(),
            problems,
            logs,
        }
    }

    async fn restart_all(
        &self,
        folder: &Folder,
        board: &Board,
        mut each: impl FnMut(Restart),
    ) -> Result<(), String> {
        let start = |name: &'static str| {
            let log = folder.path().join(format!("{name}.log"));
            Server::start(name, free_addr(), self.recipe.clone(), log)
        };
        let mut servers = [start("a").await?, start("b").await?];
        let addrs = [servers[0].addr, servers[1].addr];
        let proxy = Proxy::start(self.proxy, folder.path(), addrs).await?;
        for server in &servers {
            proxy.sees(server.name, server.addr, &self.ready).await?;
        }
        let load = Load::start(proxy.addr, &self.paths, self.clients, self.pause, board);
        for server in &servers {
            joined(server, board, 0).await?;
        }
        for number in 1..=self.restarts {
            let server = &mut servers[(number - 1) % 2];
            let before = board.counts();
            let begin = Instant::now();

            board.enter(number, server.name, Step::Stopping);
            let exit = server.stop(KILLED_AFTER).await;
            board.enter(number, server.name, Step::Starting);
            let answers = board.answers_of(&server.addr.to_string());
            server.start_anew().await?;
            board.enter(number, server.name, Step::Joining);
            proxy.sees(server.name, server.addr, &self.ready).await?;
            joined(server, board, answers).await?;
            board.enter(number, server.name, Step::Steady);

            each(Restart {
                number,
                server: server.name,
                exit,
                took: begin.elapsed(),
                counts: board.counts().since(before),
            });
        }
        load.stop().await;
        Ok(())
    }

    fn problems(&self, restarts: &[Restart], total: Counts) -> Vec<Problem> {
        let mut problems = Vec::new();
        if total.failed > 0 {
            problems.push(Problem::Failed(total.failed));
        }
        for done in restarts {
            let restart = done.number;
            match &done.exit.code {
                Ok(0) => {}
                Ok(code) => problems.push(Problem::Exit {
                    restart,
                    what: format!("exit code {code}"),
                }),
                Err(what) => problems.push(Problem::Exit {
                    restart,
                    what: what.clone(),
                }),
            }
            if done.exit.after > self.stops_within {
                problems.push(Problem::Slow {
                    restart,
                    stop: done.exit.after,
                    limit: self.stops_within,
                });
            }
            let Counts {
                answered, streams, ..
            } = done.counts;
            let least = (done.took.as_secs_f64() * ANSWERS_PER_SECOND) as u64;
            if answered < least {
                let what = format!("{answered} answers, less than {least}: too little load");
                problems.push(Problem::Idle { restart, what });
            }
            if self.paths.events.is_some() && streams < STREAMS_PER_RESTART {
                let what = format!("{streams} streams, less than {STREAMS_PER_RESTART}");
                problems.push(Problem::Idle { restart, what });
            }
        }
        problems
    }
}

/// Waits until the proxy has sent the server requests again, so that the next restart meets one at work.
async fn joined(server: &Server, board: &Board, before: u64) -> Result<(), String> {
    let begin = Instant::now();
    let addr = server.addr.to_string();
    while board.answers_of(&addr) < before + JOINED {
        if begin.elapsed() > JOINS_WITHIN {
            let name = server.name;
            return Err(format!(
                "the proxy sends {name} no requests after {JOINS_WITHIN:?}"
            ));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
