use std::fmt;

/// Where a service is on its way out. Phases only go up, until a [`resume`](crate::DrainHandle::resume) takes the
/// service back to `Serving`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "admin",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Phase {
    /// Every request is served.
    Serving,
    /// Every request is still served, but whoever routes to this service is told to stop: readiness says 503 and
    /// HTTP/1 answers close their connection.
    LameDuck,
    /// New requests are rejected; admitted ones go on.
    Draining,
    /// New requests are rejected, and no admitted one is left.
    Drained,
}

impl Phase {
    /// For machines: `serving`, `lame_duck`, `draining`, `drained`. `Display` writes a space instead of the underscore.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::LameDuck => "lame_duck",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LameDuck => "lame duck",
            other => other.as_str(),
        })
    }
}
