use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::{DrainHandle, Draining};

/// Ends any stream when rejecting begins: for a stream that is not a response body, or that is to stop making items
/// itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use futures_util::{stream, StreamExt};
/// use tower_drain::{DrainHandle, DrainStreamExt};
///
/// let handle = DrainHandle::new();
/// let ticks = stream::pending::<&str>().goodbye_on_drain(&handle, "bye");
/// handle.begin_shutdown();
/// assert_eq!(ticks.collect::<Vec<_>>().await, ["bye"]);
/// # }
/// ```
pub trait DrainStreamExt: Stream + Sized {
    /// Ends when rejecting begins, even if a resume comes before the next poll.
    fn end_on_drain(self, handle: &DrainHandle) -> EndOnDrain<Self> {
        EndOnDrain {
            stream: self,
            draining: Some(handle.draining()),
        }
    }

    /// Yields `item` when rejecting begins, and ends. A stream that ends before does not yield it.
    fn goodbye_on_drain(self, handle: &DrainHandle, item: Self::Item) -> GoodbyeOnDrain<Self> {
        GoodbyeOnDrain {
            stream: self.end_on_drain(handle),
            item: Some(item),
        }
    }
}

impl<S: Stream> DrainStreamExt for S {}

pin_project! {
    /// The stream of [`DrainStreamExt::end_on_drain`].
    #[must_use = "streams do nothing unless polled"]
    pub struct EndOnDrain<S> {
        #[pin]
        stream: S,
        draining: Option<Draining>,
    }
}

impl<S> EndOnDrain<S> {
    fn has_drained(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        match self.project().draining {
            Some(draining) => Pin::new(draining).poll(cx).is_ready(),
            None => false,
        }
    }
}

impl<S: Stream> Stream for EndOnDrain<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.draining.is_none() || self.as_mut().has_drained(cx) {
            *self.project().draining = None;
            return Poll::Ready(None);
        }
        self.project().stream.poll_next(cx)
    }
}

impl<S> fmt::Debug for EndOnDrain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOnDrain")
            .field("ended", &self.draining.is_none())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The stream of [`DrainStreamExt::goodbye_on_drain`].
    #[must_use = "streams do nothing unless polled"]
    pub struct GoodbyeOnDrain<S: Stream> {
        #[pin]
        stream: EndOnDrain<S>,
        item: Option<S::Item>,
    }
}

impl<S: Stream> Stream for GoodbyeOnDrain<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.as_mut().project();
        match this.stream.as_mut().poll_next(cx) {
            Poll::Ready(None) if this.stream.draining.is_none() => Poll::Ready(this.item.take()),
            Poll::Ready(None) => {
                *this.item = None;
                Poll::Ready(None)
            }
            other => other,
        }
    }
}

impl<S: Stream> fmt::Debug for GoodbyeOnDrain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoodbyeOnDrain")
            .field("said", &self.item.is_none())
            .finish_non_exhaustive()
    }
}
