//! The tasks of an HTTP/2 connection: one a request, one a tunnel. They end with it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::held::Piece;
use super::tally::Tally;
use crate::contained::discard;

#[derive(Clone)]
pub(super) struct Streams {
    tasks: Arc<Mutex<Option<JoinSet<()>>>>,
    tally: Arc<Tally>,
}

impl Streams {
    fn take(&self) -> Option<JoinSet<()>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.take()
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tasks) = tasks.as_mut() else { return };
        // One handler's panic, and what it panicked with, is not the other streams'.
        while let Some(ended) = tasks.try_join_next() {
            discard(ended);
        }
        let held = Piece::task(self.tally.clone());
        tasks.spawn(async move {
            drop(future.await);
            drop(held);
        });
    }
}

/// Ends the tasks when it is dropped. hyper keeps executors in the tasks themselves, so that without it they would
/// keep themselves.
pub(super) struct StreamsOwner(Streams);

impl StreamsOwner {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        let tasks = Arc::new(Mutex::new(Some(JoinSet::new())));
        Self(Streams { tasks, tally })
    }

    pub(super) fn executor(&self) -> Streams {
        self.0.clone()
    }

    /// Ends the tasks and waits until they are gone.
    pub(super) async fn end(self) {
        if let Some(mut tasks) = self.0.take() {
            tasks.abort_all();
            while let Some(ended) = tasks.join_next().await {
                discard(ended);
            }
        }
    }
}

impl Drop for StreamsOwner {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}
