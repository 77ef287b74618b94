//! What the server says, and when.

use std::collections::HashSet;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    #[default]
    Starting,
    Serving,
    LameDuck,
    Draining,
    Left,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) step: Step,
    pub(crate) addr: Option<SocketAddr>,
    pub(crate) admitted: HashSet<u64>,
    pub(crate) report: Option<Report>,
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) cut: usize,
    pub(crate) still_held: usize,
    pub(crate) unflushed: usize,
    pub(crate) rejected: u64,
    pub(crate) complete: bool,
}

impl Report {
    fn from_json(json: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(json).ok()?;
        let number = |name: &str| json[name].as_u64();
        Some(Self {
            cut: number("cut")? as usize,
            still_held: number("still_held")? as usize,
            unflushed: number("unflushed")? as usize,
            rejected: number("rejected")?,
            complete: json["complete"].as_bool()?,
        })
    }
}

impl Progress {
    pub(crate) fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("listening", addr)) => {
                self.addr = Some(addr.parse().expect("an address"));
                self.step = Step::Serving;
            }
            Some(("phase", "LameDuck")) => self.step = Step::LameDuck,
            // Phases that pass at once are told as the last of them.
            Some(("phase", "Draining" | "Drained")) => self.step = Step::Draining,
            Some(("admitted", id)) => drop(self.admitted.insert(id.parse().expect("an id"))),
            Some(("report", json)) => self.report = Report::from_json(json),
            _ => {}
        }
    }
}

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Steps(pub(crate) watch::Receiver<Progress>);

impl Steps {
    /// Returns as well when the server has left.
    pub(crate) async fn reached(&self, step: Step) {
        let is_there = |progress: &Progress| progress.step >= step;
        let _ = self.0.clone().wait_for(is_there).await;
    }

    pub(crate) async fn admitted(&self, id: u64) {
        let is_there = |progress: &Progress| progress.admitted.contains(&id);
        let _ = self.0.clone().wait_for(is_there).await;
    }

    pub(crate) fn has_left(&self) -> bool {
        self.0.borrow().step == Step::Left
    }
}
