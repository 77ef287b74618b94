//! What a server hears from the sequence, and what it says back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::watch;

/// Resolves once its switch is thrown or gone; clones hear the same.
pub(crate) struct Stage {
    thrown: watch::Receiver<bool>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stage {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (switch, thrown) = watch::channel(false);
        let waiting = None;
        (switch, Self { thrown, waiting })
    }
}

impl Clone for Stage {
    fn clone(&self) -> Self {
        Self {
            thrown: self.thrown.clone(),
            waiting: None,
        }
    }
}

impl Future for Stage {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if *self.thrown.borrow() {
            return Poll::Ready(());
        }
        let mut thrown = self.thrown.clone();
        self.waiting
            .get_or_insert_with(|| {
                Box::pin(async move {
                    let _ = thrown.wait_for(|thrown| *thrown).await;
                })
            })
            .as_mut()
            .poll(cx)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

/// What a server is driven by. The three futures are latched and resolve in this order, or all at once after a cut.
#[derive(Clone, Debug)]
pub(crate) struct ServerStages {
    /// The listening socket is to be closed; its backlog is still served.
    pub(crate) accept_closed: Stage,
    /// Connections are to be told: GOAWAY, idle and never-used ones close.
    pub(crate) stop: Stage,
    /// Everything left is to be dropped, and the server to return.
    pub(crate) abandon: Stage,
    /// How many connections there are. The listening socket counts as one until it is closed and its backlog
    /// accepted: the value starts at 1. Settling ends early at 0, and must not before the backlog was accepted.
    pub(crate) connections: watch::Sender<usize>,
}

/// What a server returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Connections that were dropped with bytes that were not written.
    pub(crate) unflushed: usize,
}
