//! What the models and the schedules both wait with.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Waiter, Wakes};

/// A service whose inner service is not ready, until rejecting begins.
pub(super) struct Parked(pub(super) Waiter);

impl Future for Parked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.park(cx, Wakes::BEGIN);
        match self.0.shard().is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
