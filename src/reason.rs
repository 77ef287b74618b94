use std::borrow::Cow;
use std::fmt;

use crate::one_line::OneLine;

/// Why a drain began. The first reason stands, whoever else begins it again.
///
/// With the feature `admin` it serialises with serde. A reason that this version does not know is read as
/// [`Other`](Self::Other) with what was written, such as `disk_full: {"free":12}`. Reading needs a self-describing format,
/// such as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "admin",
    derive(serde::Serialize),
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

/// Takes any value, because losing a drain that is carried over is worse than a reason that reads badly.
#[cfg(feature = "admin")]
impl<'de> serde::Deserialize<'de> for DrainReason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = serde_json::Value::deserialize(deserializer)?;
        let (name, holds) = variant(&written);
        Ok(
            DrainReason::known(name, holds).unwrap_or_else(|| match (name, holds) {
                ("", _) => written.to_string().into(),
                (name, serde_json::Value::Null) => name.to_owned().into(),
                (name, holds) => format!("{name}: {holds}").into(),
            }),
        )
    }
}

/// The name of a variant and what it holds, as serde writes them; no name if it is none.
#[cfg(feature = "admin")]
fn variant(written: &serde_json::Value) -> (&str, &serde_json::Value) {
    use serde_json::Value;
    match written {
        Value::String(name) => (name, &Value::Null),
        Value::Object(fields) if fields.len() == 1 => {
            let mut fields = fields.iter();
            fields
                .next()
                .map_or(("", written), |(name, holds)| (name, holds))
        }
        _ => ("", written),
    }
}

#[cfg(feature = "admin")]
impl DrainReason {
    fn known(name: &str, holds: &serde_json::Value) -> Option<Self> {
        let words = || holds.as_str().map(|words| Cow::Owned(words.to_owned()));
        Some(match name {
            "requested" => Self::Requested,
            "signal" => Self::Signal(words()?),
            "goodbye" => Self::Goodbye,
            "connectivity_lost" => Self::ConnectivityLost {
                failures: holds["failures"].as_u64()?.try_into().ok()?,
                last_error: holds["last_error"].as_str()?.to_owned(),
            },
            "other" => Self::Other(words()?),
            _ => return None,
        })
    }
}
