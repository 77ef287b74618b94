//! What a run means for a pipeline.

use std::process::ExitCode;

use crate::outcome::{Outcome, Problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    Lost,
    Unknown,
}

impl Verdict {
    /// What was lost is lost, whatever else went wrong.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let is_loss = |problem: &Problem| {
            matches!(
                problem,
                Problem::Failed(_) | Problem::FailedH2(_) | Problem::Restart { .. }
            )
        };
        match outcome.problems.iter().any(is_loss) {
            true => Self::Lost,
            false if outcome.problems.is_empty() => Self::Nothing,
            false => Self::Unknown,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing lost",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Nothing => 0,
            Self::Lost => 1,
            Self::Unknown => 2,
        })
    }
}
