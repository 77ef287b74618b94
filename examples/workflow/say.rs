//! What a person sees: a title for each run, and one line for each thing that happens in it.

use std::fmt::{Arguments, Display};
use std::io::{IsTerminal, Write};
use std::time::Instant;

#[derive(Clone)]
pub(crate) struct Say {
    begun: Instant,
    colours: bool,
}

impl Say {
    pub(crate) fn title(text: Arguments<'_>) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let say = Self {
            begun: Instant::now(),
            colours: std::io::stdout().is_terminal() && !no_color,
        };
        let text = say.paint("1", &text.to_string());
        say.print(format_args!("\n  {text}\n"));
        say
    }

    pub(crate) fn line(&self, who: &str, text: impl Display) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let who = self.paint("36", &format!("{who:<9}"));
        self.print(format_args!("{seconds:>5.1} s  {who}  {text}"));
    }

    fn paint(&self, style: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn print(&self, text: Arguments<'_>) {
        // Whoever closed the pipe has seen enough.
        writeln!(std::io::stdout(), "{text}").unwrap_or_default();
    }
}
