//! What a shutdown came to.

use std::borrow::Cow;
use std::fmt;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use crate::one_line::OneLine;
use crate::{DrainReason, FrontReport, Straggler};

/// What a [`Shutdown`](crate::Shutdown) came to: the last trace of a process.
///
/// Returned from `main`, also in a `Result`, it ends the process with [`exit_code`](Self::exit_code).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Why it began. If a drain was already on, what ended the process is here, and not what began that drain.
    pub reason: DrainReason,
    /// From the trigger to this report.
    pub took: Duration,
    /// How long each phase lasted.
    pub phases: PhaseTimes,
    /// How many were in flight when rejecting began.
    pub in_flight: usize,
    /// How many requests and tracked futures were cut, by the sequence or by hand.
    pub cut: usize,
    /// Who was still held when the server had returned.
    pub still_held: Vec<Straggler>,
    /// How many connections were ended with a request in flight, or with bytes that their peers did not have, and how many
    /// were left in the backlog. Clients that left by themselves and exempt requests do not count. From
    /// [`serve`](crate::Shutdown::serve), see "What 'sent' means" there. From [`run`](crate::Shutdown::run), which cannot
    /// see connections, it is 1 if the server had not returned at the end of `close`.
    pub unflushed: usize,
    /// How many requests were rejected since the trigger.
    pub rejected: u64,
    /// What was seen of the front in the lame duck. `None` if there was no lame duck, if it was cut short, or if neither
    /// the server nor a readiness service counts.
    pub front: Option<FrontReport>,
    /// Every hook, in the order in which they were set, stage by stage.
    pub hooks: Vec<HookReport>,
}

/// How long each phase of a shutdown lasted; zero for one that was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseTimes {
    /// The lame duck.
    pub lame_duck: Duration,
    /// Both settlings together.
    pub settle: Duration,
    /// From the begin of rejecting until the last in flight was gone, or the cut.
    pub drain: Duration,
    /// All `on_cut` hooks.
    pub cut: Duration,
    /// From the end of the drain or the cut until the server had returned, without the `on_cut` hooks.
    pub close: Duration,
    /// All `on_drained` hooks.
    pub on_drained: Duration,
}

/// At which stage a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookStage {
    /// Beside the sequence, from its begin.
    OnBegin,
    /// After what is in flight was cut.
    OnCut,
    /// After the server has returned.
    OnDrained,
}

impl fmt::Display for HookStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OnBegin => "on_begin",
            Self::OnCut => "on_cut",
            Self::OnDrained => "on_drained",
        })
    }
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HookOutcome {
    /// It returned `Ok`.
    Done,
    /// It returned this error, told with its causes.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
    /// It reached its bound and was dropped.
    TimedOut,
    /// It was not over when this report was made: the report that `on_drained` hooks get, or one after a SIGINT that
    /// waited for nothing.
    Unfinished,
    /// It never began: nothing was cut, or the server ended first.
    Skipped,
}

/// In one line: control characters in the words of an error or a panic are escaped.
impl fmt::Display for HookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(error) => write!(f, "failed: {}", OneLine(error)),
            Self::Panicked(message) => write!(f, "panicked: {}", OneLine(message)),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unfinished => f.write_str("unfinished"),
            Self::Skipped => f.write_str("skipped"),
        }
    }
}

/// A hook, and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HookReport {
    /// When it runs.
    pub stage: HookStage,
    /// What it is called.
    pub name: Cow<'static, str>,
    /// What became of it.
    pub outcome: HookOutcome,
    /// How long it ran.
    pub took: Duration,
}

impl ShutdownReport {
    /// Whether everything that was admitted ended by itself and was sent.
    pub fn is_complete(&self) -> bool {
        self.cut == 0 && self.still_held.is_empty() && self.unflushed == 0
    }

    /// 0 if the shutdown [is complete](Self::is_complete), else 1. Hooks that fail do not change it.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code_when_cut(1)
    }

    /// 0 if the shutdown [is complete](Self::is_complete), else `code`: with 0 for services whose requests may all be
    /// repeated.
    pub fn exit_code_when_cut(&self, code: u8) -> ExitCode {
        match self.is_complete() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(code),
        }
    }
}

impl Termination for ShutdownReport {
    fn report(self) -> ExitCode {
        self.exit_code()
    }
}

/// A few aligned lines, without a line break at the end. Control characters in the words of others are escaped: a reason,
/// an error or a label adds no line.
impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.is_complete(), self.still_held.is_empty()) {
            (true, _) => "drained",
            (false, true) => "drained, with losses,",
            (false, false) => "not drained",
        };
        let phases = &self.phases;
        write!(
            f,
            "shutdown    {verdict} after {}: {}",
            Seconds(self.took),
            self.reason
        )?;
        write!(
            f,
            "\nphases      lame duck {}, settle {}, drain {}, cut {}, close {}, on_drained {}",
            Seconds(phases.lame_duck),
            Seconds(phases.settle),
            Seconds(phases.drain),
            Seconds(phases.cut),
            Seconds(phases.close),
            Seconds(phases.on_drained),
        )?;
        write!(
            f,
            "\nrequests    {} in flight at the drain, {} cut, {} rejected, {} unflushed",
            self.in_flight, self.cut, self.rejected, self.unflushed
        )?;
        if let Some(front) = &self.front {
            write!(f, "\nfront       {front}")?;
        }
        for straggler in &self.still_held {
            write!(f, "\nstill held  {straggler}")?;
        }
        for hook in &self.hooks {
            let name = OneLine(&hook.name);
            write!(f, "\n{:<12}{name}: {}", hook.stage, hook.outcome)?;
            if !hook.took.is_zero() {
                write!(f, ", {}", Seconds(hook.took))?;
            }
        }
        Ok(())
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// What a cut came to, for `on_cut` hooks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cut {
    /// Those that were cut and are gone.
    pub ended: Vec<Straggler>,
    /// Those that are still held: guards, bodies whose peer does not read, handlers that block their thread.
    pub still_held: Vec<Straggler>,
}
