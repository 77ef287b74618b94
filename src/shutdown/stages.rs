//! What a server hears from the sequence, and what it says back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::watch;

use crate::latch::{Fired, Latch};
use crate::AcceptClosed;

/// Resolves when the server that was given it is to stop: its connections finish what they are at, and idle ones
/// close. Latched and cancel safe; clones hear the same.
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Stop(Fired);

impl Stop {
    pub(crate) fn new(latch: &Latch) -> Self {
        Self(latch.fired())
    }
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// What a server is driven by. The futures are latched and resolve in this order, or all at once after a cut; the last two only if the closing takes too long.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
#[derive(Clone, Debug)]
pub(crate) struct ServerStages {
    /// The listening socket is to be closed; its backlog is still served.
    pub(crate) accept_closed: AcceptClosed,
    /// Connections are to be told: GOAWAY, idle and never-used ones close.
    pub(crate) stop: Stop,
    /// What still runs is to be dropped, and only bytes that are on their way to their peers are waited for.
    pub(crate) overdue: Fired,
    /// Everything left is to be dropped, and the server to return.
    pub(crate) abandon: Fired,
    /// How many connections there are. The listening socket counts as one until it is closed and its backlog
    /// accepted: the value starts at 1. Settling ends early at 0, and must not before the backlog was accepted.
    pub(crate) connections: watch::Sender<usize>,
}

/// What a server returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Connections that ended with a request, or with bytes that did not reach the peer, and those that were still in the
    /// backlog when the socket was dropped.
    pub(crate) unflushed: usize,
}
