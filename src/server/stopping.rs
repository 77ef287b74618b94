//! A connection that was told to stop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::connection::{poll_until, Ended};
use super::tally::{Standing, Tally, ABANDON};

/// How long after it was accepted a connection may come with its first request although it was told to stop: its
/// peer was let in before the socket closed, and has had no time to send.
pub(super) const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// How long after the stop an idle connection of HTTP/2 may take to answer the ping behind the GOAWAY. Requests that
/// were on their way are ahead of that answer. hyper closes the connection when it comes.
const PING: Duration = Duration::from_millis(500);

/// hyper finishes what is in flight and closes what is idle. It waits for a peer that has never sent a request, has
/// stopped in the middle of a head or does not answer a ping; so this drops what has nothing left to do.
pub(super) struct Stopping<'a, C, G> {
    connection: Pin<&'a mut C>,
    tally: &'a Tally,
    graceful: Option<G>,
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<'a, C, G> Stopping<'a, C, G>
where
    C: Future,
    G: FnOnce(Pin<&mut C>),
{
    pub(super) fn new(
        connection: Pin<&'a mut C>,
        accepted: Instant,
        tally: &'a Tally,
        graceful: G,
    ) -> Self {
        Self {
            connection,
            tally,
            graceful: Some(graceful),
            deadline: accepted + FIRST_REQUEST,
            sleep: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let before = self.tally.listen(cx.waker());
            if before.was_told(ABANDON) {
                return Poll::Ready(self.abandoned(before));
            }
            if self.connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ended::Done);
            }
            if !self.tally.is_unused() {
                if let Some(graceful) = self.graceful.take() {
                    graceful(self.connection.as_mut());
                    self.deadline = Instant::now() + PING;
                    continue;
                }
            }
            let after = self.tally.standing();
            if after.is_over() && !before.is_over() {
                // What was the last to end may have left bytes with HTTP/2 after that poll.
                continue;
            }
            if !after.is_over() || self.tally.is_unflushed() || self.tally.is_lingering() {
                return Poll::Pending;
            }
            return poll_until(&mut self.sleep, self.deadline, cx).map(|()| Ended::Done);
        }
    }

    fn abandoned(&self, standing: Standing) -> Ended {
        match standing.has_requests() || self.tally.is_unflushed() {
            true => Ended::Unflushed,
            false => Ended::Done,
        }
    }
}
