use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clock::{idle, within};
use super::exchange::Seen;
use super::{events, End};
use crate::connection::says_close;

/// A request that was sent, and what its client has seen of the answer. Made by [`DrainTest::open`](super::DrainTest::open).
///
/// A task of its own reads the answer, as fast as it comes. Dropping this is a client that hangs up.
#[must_use = "dropping it is a client that hangs up"]
pub struct OpenRequest {
    name: String,
    seen: watch::Receiver<Seen>,
    /// How much of the data [`next_event`](Self::next_event) has gone through.
    read: usize,
    limit: Duration,
    task: JoinHandle<()>,
}

impl OpenRequest {
    pub(super) fn new(
        name: String,
        seen: watch::Receiver<Seen>,
        limit: Duration,
        task: JoinHandle<()>,
    ) -> Self {
        Self {
            name,
            seen,
            read: 0,
            limit,
            task,
        }
    }

    /// The answer's status; `None` while the handler has not answered.
    pub fn status(&self) -> Option<StatusCode> {
        self.seen.borrow().status
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        self.seen.borrow().headers.get(name).cloned()
    }

    /// The trailers of the answer, which come at its end.
    pub fn trailers(&self) -> HeaderMap {
        self.seen.borrow().trailers.clone()
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.seen.borrow().is_rejected
    }

    /// Whether the answer tells an HTTP/1 client to close the connection, as every answer does from the lame duck on.
    pub fn closes_connection(&self) -> bool {
        says_close(&self.seen.borrow().headers)
    }

    /// The body so far. Bytes that are no UTF-8 show as `U+FFFD`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.borrow().data).into_owned()
    }

    /// The server-sent events so far that are finished, as [`next_event`](Self::next_event) returns them. The last one
    /// of a stream that a policy has ended is the goodbye.
    pub fn events(&self) -> Vec<String> {
        events::all(&self.seen.borrow().data).0
    }

    /// Waits for the next server-sent event: its lines, such as `event: goodbye\ndata: bye`, without comments and the
    /// empty line at its end. A `retry` line alone is none. `None` once the answer has ended.
    ///
    /// # Panics
    ///
    /// If none comes within the [limit](super::DrainTest::limit).
    ///
    /// # Cancel safety
    ///
    /// An event is lost with the future only if the future was ready.
    #[track_caller]
    pub fn next_event(&mut self) -> impl Future<Output = Option<String>> + '_ {
        let caller = Location::caller();
        async move {
            let read = self.read;
            let has_event = |seen: &Seen| events::first(&seen.data, read).is_some();
            self.wait_for("an event", caller, |seen| {
                seen.end.is_some() || has_event(seen)
            })
            .await;
            let (event, end) = events::first(&self.seen.borrow().data, read)?;
            self.read = end;
            Some(event)
        }
    }

    /// Whether it has not ended, once everything has run that can: its handler has not answered, or its body is not
    /// at its end. Takes 1 ms of the paused clock. Cancel safe.
    pub async fn is_open(&self) -> bool {
        idle().await;
        self.seen.borrow().end.is_none()
    }

    /// Waits for its end. The body is dropped by then, and the request no longer in flight.
    ///
    /// # Panics
    ///
    /// If it has not ended within the [limit](super::DrainTest::limit).
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again.
    #[track_caller]
    pub fn ended(&self) -> impl Future<Output = End> + '_ {
        let caller = Location::caller();
        async move {
            self.wait_for("an end", caller, |seen| seen.end.is_some())
                .await;
            let end = self.seen.borrow().end.clone();
            end.expect("it was waited for")
        }
    }

    async fn wait_for(
        &self,
        expected: &str,
        caller: &Location<'_>,
        condition: impl FnMut(&Seen) -> bool,
    ) {
        let mut seen = self.seen.clone();
        // An end stays, so that it does not matter that the sender is gone then.
        let waited = within(self.limit, seen.wait_for(condition)).await.is_some();
        if !waited {
            let limit = self.limit.as_secs_f64();
            panic!("{caller}: {self} after {limit} s more; expected {expected}");
        }
    }
}

/// Its method and path, and in words what its client has seen.
impl fmt::Display for OpenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, *self.seen.borrow())
    }
}

impl fmt::Debug for OpenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen.borrow();
        f.debug_struct("OpenRequest")
            .field("request", &self.name)
            .field("status", &seen.status)
            .field("bytes", &seen.data.len())
            .field("end", &seen.end)
            .finish_non_exhaustive()
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.task.abort();
    }
}
