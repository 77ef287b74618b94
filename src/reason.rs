use std::borrow::Cow;
use std::fmt;

use crate::one_line::OneLine;

/// Why a drain began. The first reason stands, whoever else begins it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "admin",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum DrainReason {
    /// A call without a reason.
    Requested,
    /// A signal of that name, such as `SIGTERM`.
    Signal(Cow<'static, str>),
    /// An orchestrator said goodbye.
    Goodbye,
    /// What this process depends on is out of reach.
    ConnectivityLost {
        /// How many probes failed in a row.
        failures: u32,
        /// What the last of them said.
        last_error: String,
    },
    /// In the words of whoever asked for it.
    Other(Cow<'static, str>),
}

/// In one line: control characters in the words of others are escaped. The reason itself keeps them.
impl fmt::Display for DrainReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Signal(name) => OneLine(name).fmt(f),
            Self::Goodbye => f.write_str("goodbye"),
            Self::ConnectivityLost {
                failures,
                last_error,
            } => write!(
                f,
                "connectivity lost after {failures} failures: {}",
                OneLine(last_error)
            ),
            Self::Other(words) => OneLine(words).fmt(f),
        }
    }
}

impl From<&'static str> for DrainReason {
    fn from(words: &'static str) -> Self {
        Self::Other(Cow::Borrowed(words))
    }
}

impl From<String> for DrainReason {
    fn from(words: String) -> Self {
        Self::Other(Cow::Owned(words))
    }
}
