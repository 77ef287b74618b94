//! What a signal comes to, by those that came before it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::signals::{OnSignal, Signals};

/// Signals that drain are one within this time of the first: some platforms and parents send it both to the process and
/// to its group, and one Ctrl-C is SIGINT by the terminal and SIGTERM by the supervisor that it stops.
const ONE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Term,
    Int,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
        }
    }

    /// What Unix numbers it.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Int => 2,
            Self::Term => 15,
        }
    }
}

/// What a signal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Ignored,
    Drain,
    Cut,
    /// Return at once.
    Leave,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignored => "ignored",
            Self::Drain => "drain",
            Self::Cut => "cut",
            Self::Leave => "return at once",
        })
    }
}

/// Decides what a signal comes to, by those that came before.
#[derive(Debug)]
pub(super) struct Rules {
    signals: Signals,
    /// When the first one came that drains.
    first: Option<Instant>,
}

impl Rules {
    pub(super) fn new(signals: Signals) -> Self {
        Self {
            signals,
            first: None,
        }
    }

    pub(super) fn hear(&mut self, signal: Signal, now: Instant, has_cut: bool) -> Heard {
        let own = self.signals.own(signal);
        if own == OnSignal::Ignore {
            return Heard::Ignored;
        }
        if has_cut {
            return match signal {
                Signal::Int => Heard::Leave,
                Signal::Term => Heard::Ignored,
            };
        }
        if own == OnSignal::Cut {
            return Heard::Cut;
        }
        let Some(first) = self.first else {
            self.first = Some(now);
            return Heard::Drain;
        };
        let is_second = now.saturating_duration_since(first) >= ONE;
        match self.signals.second {
            OnSignal::Cut if is_second => Heard::Cut,
            _ => Heard::Ignored,
        }
    }
}
