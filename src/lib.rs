//! Stop an HTTP service without losing a request.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(no_crate_inject, attr(deny(warnings))))]

mod body;
mod connection;
mod error;
mod future;
mod grpc;
mod guard;
mod handle;
mod head;
mod layer;
mod nonce;
mod phase;
mod reason;
mod rejection;
mod report;
#[cfg(feature = "server")]
#[cfg_attr(not(test), allow(dead_code))] // Until the sequence calls it.
mod server;
mod service;
#[cfg(feature = "server")]
#[cfg_attr(not(test), allow(dead_code))]
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

#[cfg(all(feature = "server", unix))]
pub use self::server::UnixBacklog;
#[cfg(feature = "server")]
pub use self::server::{Accept, Handshaking, PeerAddr, Shaking, TcpBacklog};
