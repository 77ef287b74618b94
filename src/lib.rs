//! Stop an HTTP service without losing a request.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(no_crate_inject, attr(deny(warnings))))]

mod body;
mod connection;
mod error;
#[cfg(feature = "shutdown")]
mod exit;
mod future;
mod grpc;
mod guard;
mod handle;
mod head;
#[cfg(feature = "shutdown")]
mod latch;
mod layer;
#[cfg(feature = "axum")]
mod listener;
mod nonce;
mod phase;
#[cfg(feature = "shutdown")]
mod race;
mod reason;
mod rejection;
mod report;
mod service;
#[cfg(feature = "shutdown")]
mod shutdown;
mod slot;
mod status;
mod tracked;
mod tracker;
mod waiting;

pub use self::{
    body::ResponseBody,
    error::{BoxError, CutError, ResumeError, ShuttingDown},
    future::ResponseFuture,
    guard::{DrainGuard, GuardCut},
    handle::DrainHandle,
    head::RequestHead,
    layer::DrainLayer,
    nonce::DrainNonce,
    phase::Phase,
    reason::DrainReason,
    rejection::{Rejection, Unavailable},
    report::{DrainError, DrainReport},
    service::Drain,
    status::{DrainStatus, Straggler, StragglerPhase},
    tracked::Tracked,
    waiting::{Changed, Draining, Leaving, WaitForDrain},
};

#[cfg(feature = "shutdown")]
pub use self::{
    exit::AcceptClosed,
    shutdown::{
        ConfigError, Cut, HookOutcome, HookReport, HookStage, OnSignal, PhaseTimes, Shutdown,
        ShutdownReport, Signals, Stop, StopAccepting, Timeouts,
    },
};

#[cfg(feature = "axum")]
pub use self::listener::DrainListener;
