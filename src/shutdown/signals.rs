use super::rules::Signal;
use crate::env::{environment, word, ConfigError, Lookup};

pub(super) const SIGINT: &str = "GRACEFUL_SHUTDOWN_SIGINT";
pub(super) const SECOND: &str = "GRACEFUL_SHUTDOWN_SECOND_SIGNAL";

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnSignal {
    /// Begins the sequence, or lets it go on.
    Drain,
    /// Begins it without its waits, or ends the one that is on: what is in flight is cut. Hooks keep their bounds.
    Cut,
    /// Nothing.
    Ignore,
}

/// What the signals mean to a [`Shutdown`](crate::Shutdown).
///
/// SIGTERM drains. SIGINT cuts at once, which [`sigint`](Self::sigint) changes. A second signal after a first one cuts,
/// which [`second`](Self::second) changes; it does not change a SIGINT that cuts. Signals that drain are one if they come
/// within 250 ms of the first: two SIGTERM, and where SIGINT drains also two SIGINT, or one of each in either order.
/// After a cut, one more SIGINT returns at once, hooks or not. A [trigger](crate::Shutdown::trigger) is not a signal:
/// the first SIGTERM after it is the first.
///
/// On Windows, Ctrl-C is SIGINT; the console's closing and the system's shutdown are SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    sigint: OnSignal,
    pub(super) second: OnSignal,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            sigint: OnSignal::Cut,
            second: OnSignal::Cut,
        }
    }
}

impl Signals {
    /// From `GRACEFUL_SHUTDOWN_SIGINT` (`drain` or `cut`) and `GRACEFUL_SHUTDOWN_SECOND_SIGNAL` (`cut` or `ignore`); the
    /// defaults for what is not set. An empty variable counts as not set, and is logged as a warning with the target
    /// `tower_drain`.
    ///
    /// # Errors
    ///
    /// If a value is another one.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(&environment)
    }

    pub(super) fn from_lookup(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let sigint = [("drain", OnSignal::Drain), ("cut", OnSignal::Cut)];
        let second = [("cut", OnSignal::Cut), ("ignore", OnSignal::Ignore)];
        let default = Self::default();
        Ok(Self {
            sigint: word(lookup, SIGINT, &sigint, "`drain` or `cut`")?.unwrap_or(default.sigint),
            second: word(lookup, SECOND, &second, "`cut` or `ignore`")?.unwrap_or(default.second),
        })
    }

    /// What SIGINT does. The default is [`OnSignal::Cut`]; images whose platform stops them with SIGINT want `Drain`.
    #[must_use]
    pub fn sigint(self, sigint: OnSignal) -> Self {
        Self { sigint, ..self }
    }

    /// What a second signal does after a first. The default is [`OnSignal::Cut`]; `Drain` and `Ignore` both let the
    /// sequence go on.
    #[must_use]
    pub fn second(self, second: OnSignal) -> Self {
        Self { second, ..self }
    }

    pub(super) fn own(&self, signal: Signal) -> OnSignal {
        match signal {
            Signal::Term => OnSignal::Drain,
            Signal::Int => self.sigint,
        }
    }
}
