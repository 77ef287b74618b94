//! The listener from its first accept to the end of its backlog.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, Sleep};

use super::Accept;
use crate::backlog::is_of_one_connection;
use crate::lines::Rarely;
use crate::one_line::OneLine;
use crate::{contained, words};

/// Too many open files is what it is for; they close by themselves.
const PAUSE: Duration = Duration::from_secs(1);
/// The sequence waits for the end of the backlog.
const PAUSE_IN_BACKLOG: Duration = Duration::from_millis(20);

pub(super) struct Door<L: Accept> {
    state: State<L>,
    pause: Option<Pin<Box<Sleep>>>,
    failing: Rarely,
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
            failing: Rarely::default(),
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
                Some(Ok(accepted)) => return Poll::Ready(Some(accepted)),
                Some(Err(error)) if is_of_one_connection(&error) => contained::discard(error),
                Some(Err(error)) => {
                    let words = words::of_last(error.into());
                    self.failing.write(|| {
                        tracing::error!(target: "tower_drain", error = %OneLine(&words), "accepting a connection failed; going on after a pause");
                    });
                    self.pause = Some(Box::pin(sleep(pause)));
                }
                None => {
                    contained::discard(std::mem::replace(&mut self.state, State::Closed));
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// A panic of the listener counts as an error of it.
fn panicked(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::Other, format!("panicked: {message}"))
}

impl<L: Accept> Drop for Door<L> {
    fn drop(&mut self) {
        contained::discard(std::mem::replace(&mut self.state, State::Closed));
    }
}
