//! The connections there are.

use std::collections::HashMap;
use std::future::{poll_fn, Future};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

use super::connection::Ended;
use super::tally::{Tally, ABANDON};
use crate::contained;

/// A task ends when it is polled next, which a handler that blocks its thread may not allow.
const ABANDONING: Duration = Duration::from_millis(250);

/// Dropping it drops the connections.
pub(super) struct Connections {
    tasks: JoinSet<Ended>,
    tallies: HashMap<Id, Arc<Tally>>,
    /// The listening socket counts as one, until its backlog is accepted.
    count: watch::Sender<usize>,
    is_listening: bool,
}

impl Connections {
    pub(super) fn new(count: watch::Sender<usize>) -> Self {
        let connections = Self {
            tasks: JoinSet::new(),
            tallies: HashMap::new(),
            count,
            is_listening: true,
        };
        connections.publish();
        connections
    }

    fn publish(&self) {
        let count = self.tasks.len() + usize::from(self.is_listening);
        self.count.send_replace(count);
    }

    pub(super) fn stops_listening(&mut self) {
        self.is_listening = false;
        self.publish();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn add<F>(&mut self, serve: impl FnOnce(Arc<Tally>) -> F)
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let tally = Tally::new();
        let task = self.tasks.spawn(serve(tally.clone()));
        self.tallies.insert(task.id(), tally);
        self.publish();
    }

    pub(super) fn tell(&self, what: usize) {
        self.tallies.values().for_each(|tally| tally.tell(what));
    }

    /// The next connection to end; pending if there is none.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let (id, ended) = match ready!(self.tasks.poll_join_next_with_id(cx)) {
            None => return Poll::Pending,
            Some(Ok((id, ended))) => (id, ended),
            // A handler panicked; the runtime has said so. What it panicked with is the handler's too.
            Some(Err(error)) => {
                let id = error.id();
                contained::discard(error);
                (id, Ended::Done)
            }
        };
        self.tallies.remove(&id);
        self.publish();
        Poll::Ready(ended)
    }

    /// Drops every connection. Returns how many of them had something left to say.
    pub(super) async fn abandon(mut self) -> usize {
        self.tell(ABANDON);
        let mut unflushed = 0;
        let abandoning = async {
            while !self.is_empty() {
                let ended = poll_fn(|cx| self.poll_ended(cx)).await;
                unflushed += usize::from(ended == Ended::Unflushed);
            }
        };
        let _ = timeout(ABANDONING, abandoning).await;
        unflushed + self.tasks.len()
    }
}
