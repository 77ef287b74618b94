//! What the processes tell each other.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_drain::DrainNonce;

/// A process that works. Whoever comes in its place has its name, and another id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) jobs_at: SocketAddr,
    pub(crate) health_at: SocketAddr,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Beat {
    pub(crate) from: Instance,
    pub(crate) in_hand: usize,
}

/// In answers to heartbeats, and in health checks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Handoff {
    pub(crate) nonce: Option<DrainNonce>,
}

/// The answer to a health check.
#[derive(Serialize, Deserialize)]
pub(crate) struct Healthy {
    pub(crate) id: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Eviction {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) reason: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ContainerReady {
    pub(crate) name: String,
    pub(crate) nonce: DrainNonce,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) steps: u32,
    pub(crate) step_ms: u64,
    #[serde(default)]
    pub(crate) manner: Manner,
    #[serde(default)]
    pub(crate) done: u32,
}

/// What a job does when its worker leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manner {
    /// Hands in what it has, at the nudge.
    Heeds,
    /// Goes on, and can be frozen.
    #[default]
    Freezes,
    /// Can be frozen, but the store takes an error for an answer.
    SaveFails,
    /// Can be frozen, but the store does not answer.
    SaveHangs,
    /// Cannot be frozen: it waits for something that nothing can interrupt.
    Sticks,
}

impl Job {
    pub(crate) fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) job: u32,
    pub(crate) how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Done,
    /// Whoever comes in the place of this worker goes on with it.
    Saved,
}
