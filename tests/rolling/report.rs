//! What a run says: a line a restart while it goes on, a table and the losses at the end.

use std::fmt;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use crate::board::{Kind, Step};
use crate::outcome::{Outcome, Restart};
use crate::process::find_program;

/// How many kinds of loss are told of one run; the rest are counted.
const TOLD: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Says what begins; `false` if a program that it needs is missing, and says that.
    pub(crate) fn begin(&mut self, front: &str, server: &str, needs: &[&str]) -> bool {
        println!("\n{} with {}", bold(front), bold(server));
        let missing = needs.iter().find(|program| find_program(program).is_none());
        if let Some(program) = missing {
            self.skipped(&format!("{program} is not installed"));
        }
        missing.is_none()
    }

    pub(crate) fn skipped(&mut self, why: &str) {
        println!("  {}  {why}", yellow("skipped"));
        self.skipped += 1;
    }

    /// A line while the run goes on.
    pub(crate) fn restart(done: &Restart, of: usize) {
        let exit = match &done.exit.code {
            Ok(code) => format!("exit {code}"),
            Err(what) => what.clone(),
        };
        println!(
            "  {:>3}/{of}  {}  {exit} in {:>4.1} s {:>7} answered {:>5} streams {} failed",
            done.number,
            done.server,
            done.exit.after.as_secs_f64(),
            done.counts.answered,
            done.counts.streams,
            zero_is_good(done.counts.failed, 5),
        );
    }

    /// A run that may have no problem.
    pub(crate) fn must_pass(&mut self, outcome: Outcome) {
        let good = outcome.problems.is_empty();
        if !good {
            for problem in &outcome.problems {
                println!("  {}  {problem}", red("FAILED"));
            }
            tell_losses(&outcome);
        }
        self.count(outcome, good);
    }

    /// A run that loses requests by its nature: if this test saw none, it could not see any.
    pub(crate) fn must_fail(&mut self, outcome: Outcome) {
        let good = outcome.only_lost_requests();
        if good {
            let failed = outcome.total.failed;
            if let Some(logs) = &outcome.logs {
                let _ = std::fs::remove_dir_all(logs);
            }
            println!("  {}  it lost {failed}, as it must", green("right"));
        } else {
            println!(
                "  {}  it must lose requests, or this test sees none",
                red("FAILED")
            );
            for problem in &outcome.problems {
                println!("          {problem}");
            }
        }
        self.count(outcome, good);
    }

    /// What the page for operators quotes wrongly; `None` if there is no page.
    pub(crate) fn page(&mut self, wrong: Option<Vec<String>>) {
        let Some(wrong) = wrong else {
            return;
        };
        for what in &wrong {
            println!("  {}  {what}", red("FAILED"));
        }
        *(if wrong.is_empty() {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
    }

    fn count(&mut self, outcome: Outcome, good: bool) {
        self.outcomes.push(outcome);
        *(if good {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
    }

    /// The table, and the exit code of the whole.
    pub(crate) fn close(self) -> ExitCode {
        if !self.outcomes.is_empty() {
            println!(
                "\n  {:<14}{:<18}{:>8}{:>10}{:>9}{:>8}{:>9}{:>14}{:>9}",
                "proxy",
                "server",
                "restarts",
                "answered",
                "streams",
                "failed",
                "missing",
                "longest stop",
                "seconds"
            );
        }
        for outcome in &self.outcomes {
            let longest = outcome.restarts.iter().map(|done| done.exit.after).max();
            println!(
                "  {:<14}{:<18}{:>8}{:>10}{:>9}{}{}{:>12.1} s{:>9.0}",
                outcome.front,
                outcome.server,
                outcome.restarts.len(),
                outcome.total.answered,
                outcome.total.streams,
                zero_is_good(outcome.total.failed, 8),
                zero_is_good(outcome.total.missing, 9),
                longest.unwrap_or_default().as_secs_f64(),
                outcome.took.as_secs_f64(),
            );
        }
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        println!("\nrolling: {passed} passed, {failed} failed, {skipped} skipped");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// The like together: what was lost when, and how often.
pub(crate) struct Loss {
    pub(crate) count: u64,
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) restart: usize,
    pub(crate) server: &'static str,
    pub(crate) step: Step,
    /// From the begin of the step.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} x {}: {}; restart {}, {} {}, {:.3} to {:.3} s into it",
            self.count,
            self.kind,
            self.what,
            self.restart,
            self.server,
            self.step,
            self.first.as_secs_f64(),
            self.last.as_secs_f64()
        )
    }
}

/// The most first.
pub(crate) fn losses(outcome: &Outcome) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    for failure in &outcome.failures {
        let at = failure.moment;
        let like = losses.iter_mut().find(|loss| {
            let place = (loss.restart, loss.server, loss.step);
            place == (at.restart, at.server, at.step)
                && (loss.kind, &loss.what) == (failure.kind, &failure.what)
        });
        match like {
            Some(loss) => {
                loss.count += 1;
                loss.first = failure.after.min(loss.first);
                loss.last = failure.after.max(loss.last);
            }
            None => losses.push(Loss {
                count: 1,
                kind: failure.kind,
                what: failure.what.clone(),
                restart: at.restart,
                server: at.server,
                step: at.step,
                first: failure.after,
                last: failure.after,
            }),
        }
    }
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.count));
    losses
}

pub(crate) fn tell_losses(outcome: &Outcome) {
    let losses = losses(outcome);
    for loss in losses.iter().take(TOLD) {
        println!("  {loss}");
    }
    if losses.len() > TOLD {
        println!("         and {} other kinds", losses.len() - TOLD);
    }
    if let Some(logs) = &outcome.logs {
        println!("         logs in {}", logs.display());
    }
}

fn zero_is_good(count: u64, width: usize) -> String {
    let text = format!("{count:>width$}");
    if count == 0 {
        green(&text)
    } else {
        red(&text)
    }
}

pub(crate) fn bold(text: &str) -> String {
    coloured("1", text)
}

pub(crate) fn red(text: &str) -> String {
    coloured("31", text)
}

pub(crate) fn green(text: &str) -> String {
    coloured("32", text)
}

fn yellow(text: &str) -> String {
    coloured("33", text)
}

fn coloured(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
