//! Ends one body when its time has come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{sleep_until, Instant, Sleep};

use super::boundary::Boundary;
use super::retry::part_of;
use super::Goodbye;
use crate::body::End;
use crate::tracker::{Admitted, Wakes};
use crate::Phase;

/// How long a goodbye waits for the end of an event.
const MID_EVENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Ending {
    delay: Duration,
    spread: Duration,
    /// With where the stream is, which only a goodbye must know.
    goodbye: Option<(Goodbye, Boundary)>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No drain is on.
    Open,
    /// A drain is on; it ends then.
    Armed(Pin<Box<Sleep>>),
    /// It ends as soon as the event that is under way has, or then.
    MidEvent(Pin<Box<Sleep>>),
}

impl Ending {
    pub(super) fn new(delay: Duration, spread: Duration, goodbye: Option<Goodbye>) -> Self {
        Self {
            delay,
            spread,
            goodbye: goodbye.map(|goodbye| (goodbye, Boundary::start())),
            state: State::Open,
        }
    }

    /// What wakes a body that ends so, or by a cut alone.
    pub(crate) fn wakes(ending: &Option<Box<Self>>) -> Wakes {
        match ending {
            Some(_) => Wakes::CUT.and(Wakes::BEGIN),
            None => Wakes::CUT,
        }
    }

    /// To be asked before each poll of the body, and again after it is parked.
    pub(crate) fn poll(&mut self, admitted: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        if admitted.shard().staged().phase < Phase::Draining {
            self.state = State::Open;
            return None;
        }
        if let State::Open = self.state {
            let began = admitted.shard().rejecting_since()?;
            let wait = self.delay.saturating_add(part_of(self.spread));
            // Beyond the clock's range: as good as never.
            let at = began.checked_add(wait)?;
            self.state = State::Armed(Box::pin(sleep_until(at)));
        }
        if let State::Armed(sleep) = &mut self.state {
            if sleep.deadline() > Instant::now() && sleep.as_mut().poll(cx).is_pending() {
                return None;
            }
            if !self.is_between_events() {
                self.state = State::MidEvent(Box::pin(tokio::time::sleep(MID_EVENT)));
            }
        }
        if self.is_between_events() {
            return Some(self.end());
        }
        match &mut self.state {
            State::MidEvent(sleep) => match sleep.as_mut().poll(cx) {
                Poll::Ready(()) => Some(End::Clean(None)),
                Poll::Pending => None,
            },
            State::Open | State::Armed(_) => None,
        }
    }

    /// Passes a frame on: all of it, or what still belongs to the event that is under way when the stream is to end.
    pub(crate) fn pass<D: Buf + From<Bytes>>(&mut self, mut data: D) -> D {
        let Some((_, boundary)) = &mut self.goodbye else {
            return data;
        };
        if data.chunk().len() < data.remaining() {
            let whole = data.copy_to_bytes(data.remaining());
            data = whole.into();
        }
        if let State::MidEvent(_) = self.state {
            if let Some(end) = boundary.first_end_in(data.chunk()) {
                data = data.copy_to_bytes(end).into();
            }
        }
        boundary.pass(data.chunk());
        data
    }

    fn is_between_events(&self) -> bool {
        match &self.goodbye {
            Some((_, boundary)) => boundary.is_between_events(),
            None => true,
        }
    }

    fn end(&self) -> End {
        let goodbye = self.goodbye.as_ref();
        End::Clean(goodbye.map(|(goodbye, _)| goodbye.bytes(self.spread)))
    }
}
