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
/// peer was let in before the socket closed, and has had no time to send. A connection may also stay idle this long after
/// a response that could not announce the close.
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
    /// The activity of the connection when the deadline was last set by it.
    activity: usize,
    /// How many bytes had been written when the last response of the drain's was. What exempt requests write behind
    /// them need not arrive.
    owed: Option<usize>,
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
            owed: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let notes = &self.tally.notes;
        loop {
            let before = self.tally.listen(cx.waker());
            if before.was_told(ABANDON) {
                return Poll::Ready(self.abandoned(before));
            }
            if self.connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ended::by_itself(self.tally));
            }
            if !notes.is_unused() && !notes.awaits_one.get() {
                if let Some(graceful) = self.graceful.take() {
                    graceful(self.connection.as_mut());
                    self.deadline = Instant::now() + PING;
                    continue;
                }
            }
            let after = self.tally.standing();
            if after.is_over() && !before.is_over() {
                // The last request may have handed its bytes to HTTP/2 after the connection was polled.
                self.deadline = self.deadline.max(Instant::now() + FIRST_REQUEST);
                continue;
            }
            self.note_owed(after);
            let is_idle = after.in_flight() == 0;
            let writes = notes.unflushed.get() || notes.closing.get();
            // A peer that has everything, or never asked for anything, may leave the rest unread.
            if !after.is_over() || is_idle && writes && !notes.quiet.get() {
                return Poll::Pending;
            }
            match self.poll_idle(is_idle, cx) {
                Poll::Ready(()) if notes.awaits_one.get() => notes.awaits_one.set(false),
                idle => return idle.map(|()| Ended::Done),
            }
        }
    }

    /// Once no request of the drain's is left and everything is written, the peer is owed what was written until then.
    fn note_owed(&mut self, standing: Standing) {
        if standing.has_requests() {
            self.owed = None;
        } else if self.owed.is_none() && !self.tally.notes.unflushed.get() {
            self.owed = Some(self.tally.notes.written().0);
        }
    }

    fn delivery(&self) -> Delivery {
        match self.owed {
            Some(owed) => self.tally.readings.delivery(owed),
            None => Delivery::Outstanding,
        }
    }

    /// Whether the peer need not get anything more: there was nothing since it last had everything.
    fn is_quiet(&self, is_idle: bool) -> bool {
        let notes = &self.tally.notes;
        notes.quiet.get() || !is_idle && !notes.counted.get()
    }

    /// Ready when a connection that has nothing of the drain's in flight need not wait for its peer any longer.
    fn poll_idle(&mut self, is_idle: bool, cx: &mut Context<'_>) -> Poll<()> {
        let notes = &self.tally.notes;
        if notes.awaits_one.get() || self.is_quiet(is_idle) {
            return poll_until(&mut self.sleep, self.deadline, cx);
        }
        if self.delivery() == Delivery::Outstanding {
            self.tally.readings.ask();
            return Poll::Pending;
        }
        if notes.refused.get() {
            return Poll::Ready(());
        }
        if notes.http2.get() && is_idle {
            if self.tally.may_be_slow() {
                // The answer to the ping comes when the peer has read what is before it; there is no other sign.
                return Poll::Pending;
            }
            let activity = notes.activity();
            if activity != self.activity {
                self.activity = activity;
                self.deadline = Instant::now() + LINGER;
            }
        }
        poll_until(&mut self.sleep, self.deadline, cx)
    }

    fn abandoned(&mut self, standing: Standing) -> Ended {
        self.note_owed(standing);
        let is_idle = standing.in_flight() == 0;
        let is_read = match self.delivery() {
            Delivery::Acknowledged => {
                !(is_idle && self.tally.notes.http2.get() && self.tally.may_be_slow())
            }
            Delivery::Outstanding | Delivery::Unknown => false,
        };
        match standing.has_requests() || !self.is_quiet(is_idle) && !is_read {
            true => Ended::Unflushed,
            false => Ended::Done,
        }
    }
}
