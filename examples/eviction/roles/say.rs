//! What a person sees: one line for each thing that happens, by whom and when. All processes count from the same moment.

use std::env;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const BEGUN: &str = "BEGUN_UNIX_MS";

#[derive(Clone)]
pub(crate) struct Say {
    begun: SystemTime,
    colours: bool,
    who: String,
}

impl Say {
    pub(crate) fn new(who: &str) -> Self {
        let begun = env::var(BEGUN).ok().and_then(|begun| begun.parse().ok());
        let begun = begun.map(|begun| UNIX_EPOCH + Duration::from_millis(begun));
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            begun: begun.unwrap_or_else(SystemTime::now),
            colours: std::io::stdout().is_terminal() && !no_color,
            who: who.to_owned(),
        }
    }

    pub(crate) fn begun_unix_ms(&self) -> String {
        let begun = self.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        begun.as_millis().to_string()
    }

    pub(crate) fn line(&self, text: impl Display) {
        let seconds = self.begun.elapsed().unwrap_or_default().as_secs_f64();
        let who = format!("{:<11}", self.who);
        let who = match (self.colours, self.who.as_str()) {
            (false, _) => who,
            (true, "platform") => format!("\x1b[1m{who}\x1b[0m"),
            (true, "coordinator") => format!("\x1b[33m{who}\x1b[0m"),
            (true, _) => format!("\x1b[36m{who}\x1b[0m"),
        };
        // In one write, for other processes write to the same place. Whoever closed the pipe has seen enough.
        let line = format!("{seconds:>5.1} s  {who}  {text}\n");
        std::io::stdout()
            .write_all(line.as_bytes())
            .unwrap_or_default();
    }
}
