use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::one_line::OneLine;
use crate::{DrainReason, Phase};

/// How a drain stands, read in one go by [`DrainHandle::status`](crate::DrainHandle::status).
///
/// It never has the nonce, so it may be shown to anybody who may know that the service drains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainStatus {
    /// The phase.
    pub phase: Phase,
    /// Requests whose response body is not dropped yet, plus guards and tracked futures.
    pub in_flight: usize,
    /// Requests rejected since the handle was made.
    pub rejected: u64,
    /// Why the drain began; `None` while serving.
    pub reason: Option<DrainReason>,
    /// When this phase began.
    pub since: SystemTime,
    /// How long until the drain lifts itself; `None` if it does not.
    #[cfg(feature = "admin")]
    pub lifts_in: Option<Duration>,
}

/// What of a straggler is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StragglerPhase {
    /// The handler has not answered yet, or a tracked future runs.
    Handler,
    /// The response body is not sent yet.
    Body,
    /// A guard is held.
    Guard,
    /// Counted, but never seen waiting: a handler that has not returned from its first poll (it blocks its
    /// thread), or a body of a known size up to 16 KiB whose handler answered at once (the peer does not read).
    /// Neither who it is nor its exact age is known.
    Unseen,
}

impl fmt::Display for StragglerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Handler => "handler",
            Self::Body => "body",
            Self::Guard => "guard",
            Self::Unseen => "unseen",
        })
    }
}

/// Somebody who holds the drain, from [`DrainHandle::stragglers`](crate::DrainHandle::stragglers).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Straggler {
    /// The same in every listing while it lasts; 0 for [`StragglerPhase::Unseen`].
    pub id: u64,
    /// A request's method. `None` for a body of a known size up to 16 KiB whose handler answered at once.
    pub method: Option<String>,
    /// A request's path, never the query: it may carry a secret. Method and path together are cut to 62 bytes, and
    /// then end in `…`.
    pub path: Option<String>,
    /// What a guard was called by [`try_guard_as`](crate::DrainHandle::try_guard_as).
    pub label: Option<Cow<'static, str>>,
    /// How long it has been known: for a request since the first poll of its handler that did not finish at once, or
    /// else since its answer, and for a guard since its creation. For [`StragglerPhase::Unseen`] how
    /// long requests have been rejected, a lower bound.
    pub age: Duration,
    /// What of it is still running.
    pub phase: StragglerPhase,
}

/// In one line: control characters in a label are escaped.
impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.method, &self.path, &self.label) {
            (Some(method), Some(path), _) => write!(f, "{} {}", OneLine(method), OneLine(path))?,
            (_, _, Some(label)) => OneLine(label).fmt(f)?,
            _ => f.write_str("(unnamed)")?,
        }
        write!(f, ", {}, {:.1} s", self.phase, self.age.as_secs_f64())
    }
}
