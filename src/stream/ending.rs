//! Ends one body when its time has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{sleep_until, Instant, Sleep};

use super::boundary::Boundary;
use super::retry::part_of;
use super::{Goodbye, StreamConfig};
use crate::body::End;
use crate::tracker::{Admitted, Wakes};
use crate::Phase;

/// How long a goodbye waits for the end of an event.
const MID_EVENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Ending {
    delay: Duration,
    /// Shared: a goodbye of its own for each stream would be most of what a stream costs.
    config: Arc<StreamConfig>,
    /// In place of the layer's.
    own: Option<Box<Goodbye>>,
    /// Where the stream is, which only a goodbye must know.
    boundary: Option<Boundary>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No drain is on.
    Open,
    /// A drain is on; it ends then.
    Armed(Pin<Box<Sleep>>),
    /// Its time has come.
    Due,
    /// It ends as soon as the event that is under way has, or then.
    MidEvent(Pin<Box<Sleep>>),
}

impl Ending {
    pub(super) fn new(delay: Duration, config: Arc<StreamConfig>) -> Self {
        Self {
            delay,
            config,
            own: None,
            boundary: None,
            state: State::Open,
        }
    }

    /// With a last event: this one, or else the layer's, if it has one.
    pub(super) fn with_goodbye(mut self, own: Option<Goodbye>) -> Self {
        self.own = own.map(Box::new);
        self.boundary = self.goodbye().map(|_| Boundary::start());
        self
    }

    fn goodbye(&self) -> Option<&Goodbye> {
        let own = self.own.as_deref();
        own.or(self.config.goodbye.as_ref())
    }

    /// What wakes a body that ends so, or by a cut alone.
    pub(crate) fn wakes(ending: &Option<Box<Self>>) -> Wakes {
        match ending {
            Some(_) => Wakes::CUT.and(Wakes::BEGIN),
            None => Wakes::CUT,
        }
    }

    /// To be asked before each poll of the body, and again after it is parked.
    #[inline]
    pub(crate) fn poll(&mut self, admitted: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        match (&self.state, admitted.is_serving()) {
            (State::Open, true) => None,
            _ => self.poll_drain(admitted, cx),
        }
    }

    fn poll_drain(&mut self, admitted: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        if admitted.shard().staged().phase < Phase::Draining {
            self.state = State::Open;
            return None;
        }
        if let State::Open = self.state {
            self.state = self.armed(admitted)?;
        }
        if let State::Armed(sleep) = &mut self.state {
            if sleep.deadline() > Instant::now() && sleep.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.state = State::Due;
        }
        if self.is_between_events() {
            return Some(self.end());
        }
        if let State::Due = self.state {
            self.state = State::MidEvent(Box::pin(tokio::time::sleep(MID_EVENT)));
        }
        match &mut self.state {
            State::MidEvent(sleep) => match sleep.as_mut().poll(cx) {
                Poll::Ready(()) => Some(End::Clean(None)),
                Poll::Pending => None,
            },
            State::Open | State::Armed(_) | State::Due => None,
        }
    }

    /// The state of a drain that is on; `None` if it ends beyond the clock's range, which is as good as never.
    fn armed(&self, admitted: &Admitted) -> Option<State> {
        let wait = self.delay.saturating_add(part_of(self.config.spread));
        if wait.is_zero() {
            return Some(State::Due);
        }
        let at = admitted.shard().rejecting_since()?.checked_add(wait)?;
        Some(State::Armed(Box::pin(sleep_until(at))))
    }

    /// Passes a frame on: all of it, or what still belongs to the event that is under way when the stream is to end.
    #[inline]
    pub(crate) fn pass<D: Buf + From<Bytes>>(&mut self, data: &mut D) {
        let Some(boundary) = &mut self.boundary else {
            return;
        };
        if data.chunk().len() < data.remaining() {
            *data = data.copy_to_bytes(data.remaining()).into();
        }
        if let State::MidEvent(_) = self.state {
            if let Some(end) = boundary.first_end_in(data.chunk()) {
                *data = data.copy_to_bytes(end).into();
            }
        }
        boundary.pass(data.chunk());
    }

    fn is_between_events(&self) -> bool {
        self.boundary.map_or(true, Boundary::is_between_events)
    }

    fn end(&self) -> End {
        let goodbye = self.boundary.and_then(|_| self.goodbye());
        End::Clean(goodbye.map(|goodbye| goodbye.bytes(self.config.spread)))
    }
}
