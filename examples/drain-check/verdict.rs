//! What a run means for a pipeline.

use std::process::ExitCode;

use crate::outcome::{Outcome, Problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    Lost,
    /// Nothing was lost, but a server left in a way that is not right.
    LeftWrongly,
    Unknown,
}

impl Verdict {
    /// What was lost is lost, whatever else went wrong.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let total = outcome.total;
        let is_wrong = |problem: &Problem| matches!(problem, Problem::Restart { .. });
        match outcome.problems.iter().any(is_wrong) {
            _ if total.failed > 0 || total.missing > 0 => Self::Lost,
            true => Self::LeftWrongly,
            false if outcome.problems.is_empty() => Self::Nothing,
            false => Self::Unknown,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing lost",
            Self::Lost => "lost",
            Self::LeftWrongly => "left wrongly",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Nothing => 0,
            Self::Lost | Self::LeftWrongly => 1,
            Self::Unknown => 2,
        })
    }
}
