//! What the check says: on a terminal a line that moves while it goes on; at the end text or JSON.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{json, Value};
use tokio::time::sleep;

use crate::board::{Board, Step};
use crate::outcome::{Outcome, Problem, Restart};
use crate::report::{bold, green, losses, red, tell_losses, Report};
use crate::verdict::Verdict;

const BAR: usize = 24;

/// Redraws one line for ever, if there is a terminal to draw it on.
pub(crate) async fn progress(board: &Board, restarts: usize) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    loop {
        eprint!("\r\x1b[K{}", line(board, restarts));
        sleep(Duration::from_millis(100)).await;
    }
}

fn line(board: &Board, restarts: usize) -> String {
    let (now, counts) = (board.moment(), board.counts());
    let done = match now.step {
        Step::Steady => now.restart,
        _ => now.restart.saturating_sub(1),
    };
    let full = BAR * done / restarts;
    let step = match now.restart {
        0 => "starting both".to_owned(),
        _ => format!("{} {}", now.server, now.step),
    };
    format!(
        "  {}{}  {done}/{restarts}  {step} {:.1} s  {} answered  {} failed",
        "━".repeat(full),
        "─".repeat(BAR - full),
        now.since.elapsed().as_secs_f64(),
        counts.answered,
        counts.failed,
    )
}

/// Takes the line away that moves.
pub(crate) fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

pub(crate) fn restart(done: &Restart, of: usize) {
    clear();
    Report::restart(done, of);
}

pub(crate) fn text(outcome: &Outcome, verdict: Verdict) {
    println!();
    for problem in &outcome.problems {
        println!("  {}  {problem}", red("!"));
    }
    tell_losses(outcome);
    let total = outcome.total;
    let figures = format!(
        "{} restarts, {} answered, {} failed, {} events missing",
        outcome.restarts.len(),
        total.answered,
        total.failed,
        total.missing
    );
    let verdict = match verdict {
        Verdict::Nothing => green("nothing was lost"),
        Verdict::Lost => red("clients lost something"),
        Verdict::LeftWrongly => red("nothing was lost, but a server did not leave as it should"),
        Verdict::Unknown => red("it cannot be told"),
    };
    println!("{}: {figures}", bold(&verdict));
}

/// A number of seconds with milliseconds.
fn s(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

pub(crate) fn json(outcome: &Outcome, verdict: Verdict) {
    let restarts = outcome.restarts.iter().map(|done| {
        json!({
            "restart": done.number,
            "server": done.server,
            "exit_code": done.exit.shell_code(),
            "exit": match &done.exit.code {
                Ok(code) => format!("exit code {code}"),
                Err(what) => what.clone(),
            },
            "stop_s": s(done.exit.after),
            "answered": done.counts.answered,
            "failed": done.counts.failed,
            "events_missing": done.counts.missing,
        })
    });
    let lost = losses(outcome).into_iter().map(|loss| {
        json!({
            "count": loss.count,
            "request": loss.kind.to_string(),
            "what": loss.what,
            "restart": loss.restart,
            "server": loss.server,
            "step": loss.step.to_string(),
            "first_s": s(loss.first),
            "last_s": s(loss.last),
        })
    });
    let result = json!({
        "verdict": verdict.name(),
        "proxy": outcome.front,
        "server": outcome.server,
        "took_s": s(outcome.took),
        "answered": outcome.total.answered,
        "streams": outcome.total.streams,
        "failed": outcome.total.failed,
        "events_missing": outcome.total.missing,
        "restarts": restarts.collect::<Vec<_>>(),
        "lost": lost.collect::<Vec<_>>(),
        "problems": outcome.problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
        "logs": outcome.logs,
    });
    println!("{result:#}");
}
