//! What the clients see, and during what.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Post,
    Events,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Events => "events",
        })
    }
}

/// What the restart is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Both servers serve.
    Steady,
    /// SIGTERM was sent, the process is there.
    Stopping,
    /// The process is gone, the new one does not listen yet.
    Starting,
    /// It listens; the proxy has not sent it requests again.
    Joining,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steady => "serving",
            Self::Stopping => "stopping",
            Self::Starting => "starting",
            Self::Joining => "joining",
        })
    }
}

/// The moment: which restart, counted from 1, of which server, and how long its step has been on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) restart: usize,
    pub(crate) server: &'static str,
    pub(crate) step: Step,
    pub(crate) since: Instant,
}

/// A request that was lost, and when that was noticed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) moment: Moment,
    /// After the begin of the moment's step.
    pub(crate) after: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Complete and right answers, streams among them.
    pub(crate) answered: u64,
    pub(crate) streams: u64,
    pub(crate) failed: u64,
    /// Events that a stream owed and did not send.
    pub(crate) missing: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: Self) {
        self.answered += more.answered;
        self.streams += more.streams;
        self.failed += more.failed;
        self.missing += more.missing;
    }

    /// What came after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            answered: self.answered - before.answered,
            streams: self.streams - before.streams,
            failed: self.failed - before.failed,
            missing: self.missing - before.missing,
        }
    }
}

/// Where all clients of a run write. Clones are the same board.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<Mutex<Entries>>);

#[derive(Debug)]
struct Entries {
    moment: Moment,
    total: Counts,
    failures: Vec<Failure>,
    served_by: HashMap<String, u64>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Entries {
            moment: Moment {
                restart: 0,
                server: "-",
                step: Step::Steady,
                since: Instant::now(),
            },
            total: Counts::default(),
            failures: Vec::new(),
            served_by: HashMap::new(),
        })))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on failures belong to this step.
    pub(crate) fn enter(&self, restart: usize, server: &'static str, step: Step) {
        self.entries().moment = Moment {
            restart,
            server,
            step,
            since: Instant::now(),
        };
    }

    pub(crate) fn answered(&self, kind: Kind) {
        let mut entries = self.entries();
        entries.total.answered += 1;
        entries.total.streams += u64::from(kind == Kind::Events);
    }

    pub(crate) fn failed(&self, kind: Kind, what: String, missing: u64) {
        let mut entries = self.entries();
        entries.total.failed += 1;
        entries.total.missing += missing;
        let moment = entries.moment;
        entries.failures.push(Failure {
            kind,
            what,
            moment,
            after: moment.since.elapsed(),
        });
    }

    /// The proxy says that the server at `addr` answered.
    pub(crate) fn served_by(&self, addr: &str) {
        let mut entries = self.entries();
        match entries.served_by.get_mut(addr) {
            Some(count) => *count += 1,
            None => {
                entries.served_by.insert(addr.to_owned(), 1);
            }
        }
    }

    /// How many answers came from the server at `addr`.
    pub(crate) fn answers_of(&self, addr: &str) -> u64 {
        self.entries().served_by.get(addr).copied().unwrap_or(0)
    }

    #[allow(dead_code)] // For who draws while it goes on, which the test does not.
    pub(crate) fn moment(&self) -> Moment {
        self.entries().moment
    }

    pub(crate) fn counts(&self) -> Counts {
        self.entries().total
    }

    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.entries().failures.clone()
    }
}
