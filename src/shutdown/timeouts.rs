use std::ffi::OsString;
use std::time::Duration;

use super::{log, signals};
use crate::env::{environment, seconds, ConfigError, Lookup};

const LAME_DUCK: &str = "GRACEFUL_SHUTDOWN_LAME_DUCK";
const SETTLE: &str = "GRACEFUL_SHUTDOWN_SETTLE";
const DRAIN: &str = "GRACEFUL_SHUTDOWN_TIMEOUT";
const CLOSE: &str = "GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT";
const PLATFORM: &str = "GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT";

const PREFIX: &str = "GRACEFUL_SHUTDOWN_";
const KNOWN: [&str; 7] = [
    LAME_DUCK,
    SETTLE,
    DRAIN,
    CLOSE,
    PLATFORM,
    signals::SIGINT,
    signals::SECOND,
];

/// How long servers [beside](crate::Shutdown::beside) have once they are told to stop.
pub(super) const BESIDE: Duration = Duration::from_secs(1);
/// What a derived drain leaves free below the platform's limit.
const MARGIN: Duration = Duration::from_secs(1);

/// How long each phase of the [`Shutdown`](crate::Shutdown) may take.
///
/// They add up: the lame duck, twice the settling, the drain, the longest `on_cut` hook, the closing, all `on_drained`
/// hooks and 1 s for servers beside must be less than `platform`, or [`check`](crate::Shutdown::check) is an error.
///
/// `Duration::MAX` is no limit, for each of them. A phase, or a hook that is added up, can be without a limit only where
/// `platform` is too: whatever kills the process would end it otherwise.
///
/// ```
/// use std::time::Duration;
/// use tower_drain::Timeouts;
///
/// let timeouts = Timeouts::default().lame_duck(Duration::from_secs(10)).drain(Duration::from_secs(60));
/// assert_eq!(timeouts.close, Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Still serving, while whoever routes to this service takes note. 5 s; `GRACEFUL_SHUTDOWN_LAME_DUCK`.
    pub lame_duck: Duration,
    /// After the listening socket closed, and again after connections were told to stop: for what was on its way.
    /// Ends early where no connection is left. 0.5 s; `GRACEFUL_SHUTDOWN_SETTLE`.
    pub settle: Duration,
    /// From the begin of rejecting: for what was admitted. 300 s; `GRACEFUL_SHUTDOWN_TIMEOUT`.
    pub drain: Duration,
    /// For connections to send what is written and close. Under [`serve`](crate::Shutdown::serve), a connection whose peer
    /// reads slowly may use the unused part of `drain` as well, which has no limit if `drain` has none. 10 s; `GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT`.
    pub close: Duration,
    /// When the platform kills the process, counted from the signal: under Kubernetes
    /// `terminationGracePeriodSeconds`, less what a `preStop` hook takes. 330 s; `GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT`.
    pub platform: Duration,
    /// The drain that was derived. It is derived anew, hooks included, for as long as `drain` still is this.
    derived: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lame_duck: Duration::from_secs(5),
            settle: Duration::from_millis(500),
            drain: Duration::from_secs(300),
            close: Duration::from_secs(10),
            platform: Duration::from_secs(330),
            derived: None,
        }
    }
}

/// What hooks may take in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HookBounds {
    pub(super) longest_on_begin: Duration,
    pub(super) longest_on_cut: Duration,
    pub(super) all_on_drained: Duration,
}

/// The arithmetic of a sequence, done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// With the drain that was derived, if one was.
    pub(super) timeouts: Timeouts,
    /// From the trigger to the return, at most.
    pub(super) worst_case: Duration,
}

impl Budget {
    /// The smallest whole number of seconds that is more than the worst case.
    pub(super) fn grace_period_s(&self) -> u64 {
        self.worst_case.as_secs().saturating_add(1)
    }
}

impl Timeouts {
    /// The defaults, with the drain derived from the time the platform grants: what the other phases and the hooks
    /// leave below `grace`, less 1 s.
    ///
    /// `drain` shows it without the hooks, which are taken off when the sequence starts. If nothing is left for
    /// it, [`check`](crate::Shutdown::check) is an error. For `Duration::MAX`, which is no limit,
    /// the drain has none.
    pub fn for_platform(grace: Duration) -> Self {
        Self::default().platform(grace).deriving()
    }

    /// From the environment, in seconds with an optional fraction; the defaults for what is not set. An empty variable
    /// counts as not set, and is logged as a warning with the target `tower_drain`.
    ///
    /// With `GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT` and without `GRACEFUL_SHUTDOWN_TIMEOUT` the drain is derived as by
    /// [`for_platform`](Self::for_platform). A variable that begins in `GRACEFUL_SHUTDOWN_` and is none that this crate
    /// reads is logged as a warning: it is misspelt, most likely.
    ///
    /// # Errors
    ///
    /// If a value is not a number of seconds (at most a year), or if the sum does not fit below the platform's limit
    /// even without hooks.
    pub fn from_env() -> Result<Self, ConfigError> {
        for name in strangers(std::env::vars_os().map(|(name, _)| name)) {
            log::variable_unread(&name, &KNOWN);
        }
        Self::from_lookup(&environment)
    }

    pub(super) fn from_lookup(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let default = Self::default();
        let drain = seconds(lookup, DRAIN)?;
        let platform = seconds(lookup, PLATFORM)?;
        let timeouts = Self {
            lame_duck: seconds(lookup, LAME_DUCK)?.unwrap_or(default.lame_duck),
            settle: seconds(lookup, SETTLE)?.unwrap_or(default.settle),
            drain: drain.unwrap_or(default.drain),
            close: seconds(lookup, CLOSE)?.unwrap_or(default.close),
            platform: platform.unwrap_or(default.platform),
            derived: None,
        };
        let timeouts = match (platform, drain) {
            (Some(_), None) => timeouts.deriving(),
            _ => timeouts,
        };
        timeouts.budget(HookBounds::default())?;
        Ok(timeouts)
    }

    /// Sets [`lame_duck`](Self::lame_duck).
    #[must_use]
    pub fn lame_duck(self, lame_duck: Duration) -> Self {
        Self { lame_duck, ..self }
    }

    /// Sets [`settle`](Self::settle).
    #[must_use]
    pub fn settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub fn drain(self, drain: Duration) -> Self {
        Self {
            drain,
            derived: None,
            ..self
        }
    }

    /// Sets [`close`](Self::close).
    #[must_use]
    pub fn close(self, close: Duration) -> Self {
        Self { close, ..self }
    }

    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn platform(self, platform: Duration) -> Self {
        Self { platform, ..self }
    }

    fn deriving(mut self) -> Self {
        let rest = self.without_drain(HookBounds::default());
        self.drain = self.left_by(rest).unwrap_or(Duration::ZERO);
        self.derived = Some(self.drain);
        self
    }

    fn left_by(&self, rest: Duration) -> Option<Duration> {
        match self.platform {
            Duration::MAX => Some(Duration::MAX),
            platform => platform.checked_sub(rest.saturating_add(MARGIN)),
        }
    }

    fn without_drain(&self, hooks: HookBounds) -> Duration {
        [
            self.lame_duck,
            self.settle,
            self.settle,
            hooks.longest_on_cut,
            self.close,
            hooks.all_on_drained,
            BESIDE,
        ]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Adds up, and says whether it fits.
    pub(super) fn budget(&self, hooks: HookBounds) -> Result<Budget, ConfigError> {
        let rest = self.without_drain(hooks);
        let mut timeouts = self.clone();
        let is_derived = self.derived == Some(self.drain);
        if is_derived {
            timeouts.drain = self.left_by(rest).unwrap_or(Duration::ZERO);
        }
        let needed = rest.saturating_add(timeouts.drain);
        let kept_free = match is_derived {
            true => MARGIN,
            false => Duration::ZERO,
        };
        let least = needed.saturating_add(kept_free);
        let is_limited = self.platform < Duration::MAX;
        if is_limited && (needed >= self.platform || least > self.platform) {
            return Err(ConfigError::Budget {
                needed: least,
                platform: self.platform,
                sum: timeouts.sum(hooks, kept_free),
            });
        }
        Ok(Budget {
            timeouts,
            worst_case: needed.max(hooks.longest_on_begin),
        })
    }

    fn sum(&self, hooks: HookBounds, kept_free: Duration) -> String {
        [
            (self.lame_duck, LAME_DUCK),
            (self.settle, SETTLE),
            (self.settle, "settling again"),
            (self.drain, DRAIN),
            (hooks.longest_on_cut, "the longest on_cut"),
            (self.close, CLOSE),
            (hooks.all_on_drained, "all on_drained"),
            (BESIDE, "servers beside"),
            (kept_free, "kept free"),
        ]
        .iter()
        .filter(|(duration, _)| !duration.is_zero())
        .map(|(duration, name)| match *duration {
            Duration::MAX => format!("no limit ({name})"),
            duration => format!("{} ({name})", duration.as_secs_f64()),
        })
        .collect::<Vec<_>>()
        .join(" + ")
    }
}

fn strangers(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = String> {
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !KNOWN.contains(&name.as_str()))
}
