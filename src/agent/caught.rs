//! A panic of the caller's code as a value, so that one bad beat or probe does not take the sequence with it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::contained;

pin_project! {
    /// Resolves with what the panic said, if there is one. What was made before the panic is dropped, not polled again.
    pub(super) struct Caught<T> {
        #[pin]
        future: T,
    }
}

impl<T: Future> Caught<T> {
    /// Calls `make` too, which may panic as well.
    pub(super) fn new(make: impl FnOnce() -> T) -> Result<Self, String> {
        Ok(Self {
            future: call(make)?,
        })
    }

    /// Drops what is in `slot`, which may panic as well.
    pub(super) fn clear(mut slot: Pin<&mut Option<Self>>) -> Result<(), String> {
        call(|| slot.set(None))
    }
}

impl<T: Future> Future for Caught<T> {
    type Output = Result<T::Output, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match call(|| future.poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

fn call<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    contained::call(code).map_err(|message| format!("panicked: {message}"))
}
