//! A panic of the caller's code as a value, so that one bad beat or probe does not take the sequence with it.

use std::any::Any;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::words;

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
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(future) => Ok(Self { future }),
            Err(panic) => Err(panicked(&*panic)),
        }
    }
}

impl<T: Future> Future for Caught<T> {
    type Output = Result<T::Output, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    format!("panicked: {}", words::of_panic(panic))
}
