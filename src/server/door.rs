//! The listener from its first accept to the end of its backlog.

use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, Sleep};

use super::Accept;
use crate::backlog::{panicked, Failing, IN_A_ROW};
use crate::contained;

/// Where files have run out; they close by themselves.
const PAUSE: Duration = Duration::from_secs(1);
/// The sequence waits for the end of the backlog.
const PAUSE_IN_BACKLOG: Duration = Duration::from_millis(20);

pub(super) struct Door<L: Accept> {
    state: State<L>,
    pause: Option<Pin<Box<Sleep>>>,
    failing: Failing,
}

enum State<L: Accept> {
    Open(L),
    /// Without a backlog, if closing the listener panicked.
    Closing(Option<L::Backlog>),
    Closed,
}

impl<L: Accept> Door<L> {
    pub(super) fn new(listener: L) -> Self {
        Self {
            state: State::Open(listener),
            pause: None,
            failing: Failing::default(),
        }
    }

    /// From here on only what has been let in already is accepted.
    pub(super) fn close(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(listener) => State::Closing(contained::call(|| listener.close()).ok()),
            state => state,
        };
        self.pause = None;
    }

    /// Closes the socket. Returns how many connections it had let in that were not accepted.
    pub(super) fn abandon(mut self) -> usize {
        self.close();
        let State::Closing(Some(backlog)) = &mut self.state else {
            return 0;
        };
        let count = contained::call(|| {
            let (mut let_in, mut errors) = (0, 0);
            for accepted in backlog {
                match accepted {
                    Ok(_) => (let_in, errors) = (let_in + 1, 0),
                    Err(_) if errors == IN_A_ROW => break,
                    Err(_) => errors += 1,
                }
            }
            let_in
        });
        count.unwrap_or(0)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The next connection, `None` at the end of the backlog. Not to be called again after that.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(L::Handshake, L::Addr)>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let (accepted, pause) = match &mut self.state {
                State::Open(listener) => {
                    let polled = contained::call(|| listener.poll_accept(cx));
                    let polled = polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(panic))));
                    (Some(ready!(polled)), PAUSE)
                }
                State::Closing(backlog) => {
                    let next = contained::call(|| backlog.as_mut()?.next());
                    let next = next.unwrap_or_else(|panic| Some(Err(panicked(panic))));
                    (next, PAUSE_IN_BACKLOG)
                }
                State::Closed => (None, PAUSE),
            };
            match accepted {
                Some(Ok(accepted)) => {
                    self.failing.accepted();
                    return Poll::Ready(Some(accepted));
                }
                Some(Err(error)) => {
                    let pause = self.failing.pause(error, pause);
                    self.pause = pause.map(|pause| Box::pin(sleep(pause)));
                }
                None => {
                    contained::discard(std::mem::replace(&mut self.state, State::Closed));
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl<L: Accept> Drop for Door<L> {
    fn drop(&mut self) {
        contained::discard(std::mem::replace(&mut self.state, State::Closed));
    }
}
