//! One run: two servers behind a proxy, restarted one after the other under load.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::board::{Board, Step};
use crate::h2::{self, Figures, Through};
use crate::load::{Load, Paths};
use crate::outcome::{judge, Limits, Outcome, Problem, Restart};
use crate::process::{free_addr, Folder};
use crate::proxy::{Kind, Proxy};
use crate::server::{Recipe, Server};

/// A server that is still there so long after the longest stop that is right is killed.
const KILLED_AFTER: Duration = Duration::from_secs(20);
/// The least of answers by which a server counts as part of the run.
const JOINED: u64 = 50;
const JOINS_WITHIN: Duration = Duration::from_secs(15);

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
    /// So many seconds of HTTP/2 beside the other clients, if the proxy speaks it.
    pub(crate) h2load: Option<u64>,
    pub(crate) limits: Limits,
}

impl Run {
    /// Does it, and tells each restart to `tell`.
    pub(crate) async fn roll(&self, tell: impl FnMut(&Restart)) -> Outcome {
        self.roll_on(&Board::new(), tell).await
    }

    /// The same for somebody who looks at the board meanwhile.
    pub(crate) async fn roll_on(&self, board: &Board, mut tell: impl FnMut(&Restart)) -> Outcome {
        let begin = Instant::now();
        let mut restarts = Vec::new();
        let folder = Folder::new(self.proxy.name());
        let done = match &folder {
            Ok(folder) => {
                let each = |restart: Restart| {
                    tell(&restart);
                    restarts.push(restart);
                };
                self.restart_all(folder, board, each).await
            }
            Err(error) => Err(format!("no temporary folder: {error}")),
        };
        let mut problems = Vec::new();
        let mut total = board.counts();
        if total.failed > 0 {
            problems.push(Problem::Failed(total.failed));
        }
        let has_streams = self.paths.events.is_some();
        for restart in &restarts {
            problems.extend(judge(restart, &self.limits, has_streams));
        }
        match done {
            Ok(None) => {}
            Ok(Some(figures)) => {
                total.add(figures.into());
                if figures.failed() > 0 {
                    problems.push(Problem::FailedH2(figures));
                }
            }
            Err(what) => problems.push(Problem::Broken(what)),
        }
        let logs = folder
            .ok()
            .filter(|_| !problems.is_empty())
            .map(Folder::keep);
        Outcome {
            front: self.proxy.name(),
            server: self.server.clone(),
            took: begin.elapsed(),
            restarts,
            total,
            failures: board.failures(),
            problems,
            logs,
        }
    }

    async fn sees(&self, proxy: &Proxy, server: &Server) -> Result<(), String> {
        let limit = self.recipe.starts_within;
        proxy
            .sees(server.name, server.addr, &self.ready, limit)
            .await
    }

    async fn restart_all(
        &self,
        folder: &Folder,
        board: &Board,
        mut each: impl FnMut(Restart),
    ) -> Result<Option<Figures>, String> {
        let start = |name: &'static str| {
            let log = folder.path().join(format!("{name}.log"));
            Server::start(name, free_addr(), self.recipe.clone(), log)
        };
        let mut servers = [start("a").await?, start("b").await?];
        let addrs = [servers[0].addr, servers[1].addr];
        let proxy = Proxy::start(self.proxy, folder.path(), addrs, &self.ready).await?;
        for server in &servers {
            self.sees(&proxy, server).await?;
        }
        let load = Load::start(proxy.addr, &self.paths, self.clients, self.pause, board);
        for server in &servers {
            joined(server, board, 0).await?;
        }
        let h2load = self
            .h2load
            .map(|seconds| h2::load("http", proxy.addr, Through::Sent(seconds)));
        for number in 1..=self.restarts {
            let server = &mut servers[(number - 1) % 2];
            let before = board.counts();
            let begin = Instant::now();

            board.enter(number, server.name, Step::Stopping);
            let exit = server.stop(self.limits.stops_within + KILLED_AFTER).await;
            board.enter(number, server.name, Step::Starting);
            let answers = board.answers_of(&server.addr.to_string());
            server.start_anew().await?;
            board.enter(number, server.name, Step::Joining);
            self.sees(&proxy, server).await?;
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
        match h2load {
            Some(h2load) => h2load.await.map_err(|error| error.to_string())?.map(Some),
            None => Ok(None),
        }
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
