//! What a run came to, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::board::{Counts, Failure};
use crate::h2::Figures;
use crate::server::Exit;

/// What a restart must come up to.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The longest that a stop may take.
    pub(crate) stops_within: Duration,
    /// Those that are right.
    pub(crate) exit_codes: Vec<i32>,
    /// The least of load. A run in which hardly anything happens shows nothing.
    pub(crate) answers_per_second: f64,
    pub(crate) streams_per_restart: u64,
}

impl Limits {
    pub(crate) fn new(stops_within: Duration) -> Self {
        Self {
            stops_within,
            exit_codes: vec![0],
            answers_per_second: 100.0,
            streams_per_restart: 2,
        }
    }
}

/// One restart as its clients saw it.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    pub(crate) number: usize,
    pub(crate) server: &'static str,
    pub(crate) exit: Exit,
    /// From the signal until the new process is at work.
    pub(crate) took: Duration,
    pub(crate) counts: Counts,
}

/// A whole run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) front: &'static str,
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
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// Requests that failed.
    Failed(u64),
    /// HTTP/2 requests that failed.
    FailedH2(Figures),
    /// A restart that was not as it should be.
    Restart { number: usize, what: String },
    /// A restart that met too little load to say anything.
    Idle { number: usize, what: String },
    /// The run could not go on.
    Broken(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(count) => write!(f, "requests failed: {count}"),
            Self::FailedH2(figures) => write!(f, "{figures}"),
            Self::Restart { number, what } => write!(f, "restart {number}: {what}"),
            Self::Idle { number, what } => write!(f, "restart {number}: too little load: {what}"),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl Outcome {
    /// Whether it lost requests, and apart from that went as it should. A server that stops within moments may meet
    /// too little load in them.
    pub(crate) fn only_lost_requests(&self) -> bool {
        let lost = |problem: &Problem| matches!(problem, Problem::Failed(_) | Problem::FailedH2(_));
        let is_idle = |problem: &Problem| matches!(problem, Problem::Idle { .. });
        self.problems.iter().any(lost) && self.problems.iter().all(|it| lost(it) || is_idle(it))
    }
}

/// What is wrong with a restart.
pub(crate) fn judge(done: &Restart, limits: &Limits, has_streams: bool) -> Vec<Problem> {
    let Restart { exit, counts, .. } = done;
    let mut wrong = Vec::new();
    let is_right = |code: i32| limits.exit_codes.contains(&code);
    match &exit.code {
        _ if exit.shell_code().is_some_and(is_right) => {}
        Ok(code) => wrong.push(format!("exit code {code}")),
        Err(what) => match exit.shell_code() {
            Some(code) => wrong.push(format!("{what}, which is exit code {code}")),
            None => wrong.push(what.clone()),
        },
    }
    if exit.outlived {
        wrong.push(
            "what had the signal has ended, and the server behind it went on and was killed: let a shell `exec` the \
             server"
                .to_owned(),
        );
    }
    if exit.after > limits.stops_within {
        let (took, limit) = (exit.after.as_secs_f64(), limits.stops_within.as_secs_f64());
        wrong.push(format!("the stop took {took:.1} s, more than {limit:.1} s"));
    }
    let number = done.number;
    let restart = |what| Problem::Restart { number, what };
    let mut wrong: Vec<Problem> = wrong.into_iter().map(restart).collect();
    let mut idle = |what| wrong.push(Problem::Idle { number, what });
    let least = (done.took.as_secs_f64() * limits.answers_per_second) as u64;
    if counts.answered < least {
        let answered = counts.answered;
        idle(format!("{answered} answers, less than {least}"));
    }
    let least = limits.streams_per_restart;
    if has_streams && counts.streams < least {
        let streams = counts.streams;
        idle(format!("{streams} streams, less than {least}"));
    }
    wrong
}
