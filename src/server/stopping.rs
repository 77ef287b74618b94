//! A connection that was told to stop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::closing::LINGER;
use super::connection::{poll_until, Ended};
use super::delivery::Delivery;
use super::tally::{Standing, Tally, ABANDON};

/// How long after it was accepted a connection may come with its first request although it was told to stop: its
/// peer was let in before the socket closed, and has had no time to send. As long may a connection be idle after a
/// response that could not say that it is the last.
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
    /// The tally's, when the deadline was set by it.
    activity: usize,
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
        tally.decide_quiet(LINGER);
        tally.decide_one_more();
        Self {
            connection,
            tally,
            graceful: Some(graceful),
            deadline: accepted + FIRST_REQUEST,
            sleep: None,
            activity: tally.notes.activity(),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let before = self.tally.listen(cx.waker());
            if before.was_told(ABANDON) {
                return Poll::Ready(self.abandoned(before));
            }
            if self.connection.as_mut().poll(cx).is_ready() || self.tally.notes.refused.get() {
                return Poll::Ready(Ended::of(self.tally));
            }
            if !self.tally.notes.is_unused() && !self.tally.notes.awaits_one.get() {
                if let Some(graceful) = self.graceful.take() {
                    graceful(self.connection.as_mut());
                    self.deadline = Instant::now() + PING;
                    continue;
                }
            }
            let after = self.tally.standing();
            if after.is_over() && !before.is_over() {
                // What was the last to end may have left bytes with HTTP/2 after that poll.
                self.deadline = self.deadline.max(Instant::now() + FIRST_REQUEST);
                continue;
            }
            // What holds no drain is not waited for, nor are its bytes.
            let is_idle = after.in_flight() == 0;
            let owes =
                is_idle && (self.tally.notes.unflushed.get() || self.tally.notes.closing.get());
            if !after.is_over() || owes {
                return Poll::Pending;
            }
            match self.poll_idle(is_idle, cx) {
                Poll::Ready(()) if self.tally.notes.awaits_one.get() => {
                    self.tally.notes.awaits_one.set(false)
                }
                idle => return idle.map(|()| Ended::Done),
            }
        }
    }

    /// Ready when a connection that has nothing of the drain's in flight need not wait for its peer any longer.
    fn poll_idle(&mut self, is_idle: bool, cx: &mut Context<'_>) -> Poll<()> {
        if self.tally.notes.awaits_one.get() || !is_idle || self.tally.notes.quiet.get() {
            return poll_until(&mut self.sleep, self.deadline, cx);
        }
        let delivery = self.tally.delivery();
        if delivery == Delivery::Outstanding {
            self.tally.readings.ask();
            return Poll::Pending;
        }
        if self.tally.notes.http2.get() {
            if self.tally.may_be_slow() {
                // The answer to the ping comes when the peer has read what is before it; nothing else tells.
                return Poll::Pending;
            }
            let activity = self.tally.notes.activity();
            if activity != self.activity {
                self.activity = activity;
                self.deadline = Instant::now() + LINGER;
            }
        }
        poll_until(&mut self.sleep, self.deadline, cx)
    }

    fn abandoned(&self, standing: Standing) -> Ended {
        let tally = self.tally;
        let is_read = || match tally.delivery() {
            Delivery::Acknowledged => !(tally.notes.http2.get() && tally.may_be_slow()),
            Delivery::Outstanding | Delivery::Unknown => false,
        };
        let owes = match standing.in_flight() {
            0 => tally.notes.unflushed.get() || !tally.notes.quiet.get() && !is_read(),
            _ => standing.has_requests(),
        };
        match owes {
            true => Ended::Unflushed,
            false => Ended::Done,
        }
    }
}
