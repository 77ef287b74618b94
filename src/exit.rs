//! What a handle knows of the end of the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::front::Front;
use crate::latch::{Fired, Latch};
use crate::DrainReason;

#[derive(Debug, Default)]
pub(crate) struct Exit {
    reason: Mutex<Option<DrainReason>>,
    requested: Latch,
    accept_closed: Latch,
    pub(crate) front: Front,
    #[cfg(feature = "server")]
    exempts: std::sync::atomic::AtomicBool,
    /// Shared with every [`AcceptClosed`].
    closing: Arc<()>,
}

impl Exit {
    /// `true` for the first request, whose reason stands.
    pub(crate) fn request(&self, reason: DrainReason) -> bool {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_some() {
            return false;
        }
        *first = Some(reason);
        drop(first);
        self.requested.fire()
    }

    pub(crate) async fn requested(&self) -> DrainReason {
        self.requested.fired().await;
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().unwrap_or(DrainReason::Requested)
    }

    /// A layer of the handle leaves some requests alone.
    #[cfg(feature = "server")]
    pub(crate) fn exempts_some(&self) {
        self.exempts
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Returns `true` if a layer leaves some requests alone. Relaxed: a layer is set up before its service is called.
    #[cfg(feature = "server")]
    pub(crate) fn exempts(&self) -> bool {
        self.exempts.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn close_accept(&self) -> bool {
        self.accept_closed.fire()
    }

    pub(crate) fn accept_closed(&self) -> AcceptClosed {
        AcceptClosed {
            fired: self.accept_closed.fired(),
            _counted: self.closing.clone(),
        }
    }

    /// Whether anything is there to hear that sockets are to be closed.
    pub(crate) fn closes_something(&self) -> bool {
        Arc::strong_count(&self.closing) > 1
    }
}

/// The future of [`DrainHandle::accept_closed`](crate::DrainHandle::accept_closed).
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AcceptClosed {
    fired: Fired,
    _counted: Arc<()>,
}

impl Future for AcceptClosed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.fired).poll(cx)
    }
}
