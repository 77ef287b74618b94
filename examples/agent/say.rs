//! What a person sees: one line for each thing that happens, by whom and when.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use tower_drain::ShutdownReport;

use crate::orchestrator::Orchestrator;

#[derive(Clone)]
pub(crate) struct Say {
    begun: Instant,
    colours: bool,
    who: &'static str,
}

impl Say {
    pub(crate) fn new() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            begun: Instant::now(),
            colours: std::io::stdout().is_terminal() && !no_color,
            who: "",
        }
    }

    pub(crate) fn of(&self, who: &'static str) -> Self {
        Self {
            who,
            ..self.clone()
        }
    }

    pub(crate) fn line(&self, text: Arguments<'_>) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let who = format!("{:<12}", self.who);
        let who = match (self.colours, self.who) {
            (false, _) => who,
            (true, "agent") => format!("\x1b[36m{who}\x1b[0m"),
            (true, _) => format!("\x1b[33m{who}\x1b[0m"),
        };
        // Whoever closed the pipe has seen enough.
        writeln!(std::io::stdout(), "{seconds:>5.1} s  {who}  {text}").unwrap_or_default();
    }

    pub(crate) fn summary(&self, orchestrator: &Orchestrator, report: &ShutdownReport) {
        let seen = orchestrator.seen();
        let text = format!(
            "\ncalls       {} of one instance, {} heartbeats among them\n{report}\n",
            seen.calls, seen.heartbeats
        );
        writeln!(std::io::stdout(), "{text}").unwrap_or_default();
    }
}
