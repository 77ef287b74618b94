//! What the workflow holds, and when it is given back.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tower_drain::{BoxError, DrainReason};

use crate::say::Say;

#[derive(Clone, Copy)]
pub(crate) enum Teardown {
    /// What a workflow that failed holds is kept for whoever looks into it.
    OnCompletion,
    Never,
}

impl Teardown {
    pub(crate) fn from_env() -> Result<Option<Self>, BoxError> {
        match std::env::var("TEARDOWN").as_deref() {
            Err(_) => Ok(None),
            Ok("on-completion") => Ok(Some(Self::OnCompletion)),
            Ok("never") => Ok(Some(Self::Never)),
            Ok(other) => Err(format!("TEARDOWN: {other:?}: set `on-completion` or `never`").into()),
        }
    }

    /// Why to give back, if it is time to. Without its backend a workflow cannot go on, and nobody can look into it:
    /// what it holds only costs.
    fn due(self, has_completed: bool, reason: &DrainReason) -> Option<&'static str> {
        match (self, reason) {
            (Self::Never, _) => None,
            (Self::OnCompletion, _) if has_completed => Some("all steps are done"),
            (Self::OnCompletion, DrainReason::ConnectivityLost { .. }) => {
                Some("the backend is lost")
            }
            (Self::OnCompletion, _) => None,
        }
    }
}

impl fmt::Display for Teardown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnCompletion => "on completion",
            Self::Never => "never",
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: AtomicUsize,
    has_completed: AtomicBool,
}

impl Leases {
    pub(crate) fn take(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn complete(&self) {
        self.has_completed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn tear_down(&self, policy: Teardown, reason: &DrainReason, say: &Say) {
        let has_completed = self.has_completed.load(Ordering::Relaxed);
        let text = match policy.due(has_completed, reason) {
            Some(why) => {
                let given_back = self.held.swap(0, Ordering::Relaxed);
                format!("{given_back} leases given back: {why}")
            }
            None => format!("{} leases kept", self.held.load(Ordering::Relaxed)),
        };
        say.line("teardown", text);
    }
}
