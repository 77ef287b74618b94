//! Reading the variables, and what is wrong with a configuration.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::lines;

/// A configuration that cannot hold, found before the first connection is accepted.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable of the environment has a value that is none.
    #[non_exhaustive]
    Variable {
        /// The variable's name.
        name: &'static str,
        /// Its value; what is not UTF-8 is replaced.
        value: String,
        /// What would have been one.
        expected: &'static str,
    },
    /// The sequence can take as long as the platform waits, or longer: it would be killed before its end.
    #[non_exhaustive]
    Budget {
        /// How long it can take in all, and what a derived drain keeps free; `Duration::MAX` is no limit.
        needed: Duration,
        /// How long the platform waits.
        platform: Duration,
        /// The sum that `needed` is, in figures and in words.
        sum: String,
    },
    /// The signal handlers could not be installed.
    #[non_exhaustive]
    Signals {
        /// What the system, or the lack of a runtime, says.
        cause: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable {
                name,
                value,
                expected,
            } => write!(f, "{name}={value:?} is not {expected}"),
            Self::Budget {
                needed,
                platform,
                sum,
            } => {
                match *needed {
                    Duration::MAX => f.write_str("the shutdown has no limit")?,
                    needed => write!(f, "the shutdown needs {} s", needed.as_secs_f64())?,
                }
                write!(
                    f,
                    " and the platform kills after {} s: {sum}; raise the platform's grace period and \
                     GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT with it, or lower the others",
                    platform.as_secs_f64(),
                )
            }
            Self::Signals { cause } => write!(f, "signal handlers cannot be installed: {cause}"),
        }
    }
}

impl fmt::Debug for ConfigError {
    /// The sentence: this is what `main` prints of an error that it returns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

/// Looks a variable up. Parsers take this instead of the environment, which is one for all threads.
pub(crate) type Lookup<'a> = &'a dyn Fn(&'static str) -> Option<OsString>;

pub(crate) fn environment(name: &'static str) -> Option<OsString> {
    std::env::var_os(name)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What `parse` makes of a variable, if it is set. An empty one is not: that is how compose passes a variable that is
/// unset, and how the [specification of OpenTelemetry](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value)
/// reads it.
fn parsed<T>(
    lookup: Lookup<'_>,
    name: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = lookup(name) else {
        return Ok(None);
    };
    if value.is_empty() {
        lines::write(
            || tracing::warn!(target: "tower_drain", name, "{name} is empty, and counts as not set"),
        );
        return Ok(None);
    }
    let meaning = value.to_str().and_then(parse);
    let bad = || ConfigError::Variable {
        name,
        value: value.to_string_lossy().into_owned(),
        expected,
    };
    meaning.map(Some).ok_or_else(bad)
}

/// Seconds in decimal digits with an optional fraction. Signs, exponents, units and white space are errors: whoever
/// writes them means something that would not be understood.
fn decimal(value: &str) -> Option<Duration> {
    let is_decimal = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_decimal
        .then(|| value.parse::<f64>().ok())
        .flatten()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|&duration| duration <= YEAR)
}

/// A time to wait, which may be none.
#[cfg(feature = "shutdown")]
pub(crate) fn seconds(
    lookup: Lookup<'_>,
    name: &'static str,
) -> Result<Option<Duration>, ConfigError> {
    let expected = "a number of seconds from 0 to 31536000, such as 2.5";
    parsed(lookup, name, expected, decimal)
}

/// A period, which may not.
#[cfg(feature = "agent")]
pub(crate) fn period(
    lookup: Lookup<'_>,
    name: &'static str,
) -> Result<Option<Duration>, ConfigError> {
    let expected = "a number of seconds above 0, up to 31536000, such as 2.5";
    parsed(lookup, name, expected, |value| {
        decimal(value).filter(|period| !period.is_zero())
    })
}

/// How often, and at least once, in digits alone.
#[cfg(feature = "agent")]
pub(crate) fn count(lookup: Lookup<'_>, name: &'static str) -> Result<Option<u32>, ConfigError> {
    let expected = "a whole number from 1 to 4294967295";
    parsed(lookup, name, expected, |value| {
        let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let count = is_digits.then(|| value.parse().ok()).flatten();
        count.filter(|&count| count > 0)
    })
}

/// One of a few words.
#[cfg(feature = "shutdown")]
pub(crate) fn word<T: Copy>(
    lookup: Lookup<'_>,
    name: &'static str,
    words: &[(&str, T)],
    expected: &'static str,
) -> Result<Option<T>, ConfigError> {
    parsed(lookup, name, expected, |value| {
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|&(_, meaning)| meaning)
    })
}
