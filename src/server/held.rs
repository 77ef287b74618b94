//! What is in flight on a connection, until it is dropped.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use super::tally::Tally;
use crate::exempt::OnExempt;

/// A request in flight.
#[derive(Debug)]
pub(super) struct Held {
    tally: Arc<Tally>,
    exemption: Option<Arc<Exemption>>,
}

impl Held {
    pub(super) fn new(tally: Arc<Tally>, exemption: Option<Arc<Exemption>>) -> Self {
        tally.hold();
        tally.hold_request();
        tally.hold_running();
        Self { tally, exemption }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn is_exempt(&self) -> bool {
        let exemption = self.exemption.as_ref();
        exemption.is_some_and(|exemption| exemption.is(EXEMPT))
    }

    /// Holds a piece of the same response by itself.
    pub(super) fn piece(&self) -> Piece {
        Piece::new(self.tally.clone(), !self.is_exempt())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let exemption = self.exemption.as_ref();
        let was_exempt =
            exemption.is_some_and(|held| held.state.swap(OVER, Ordering::AcqRel) == EXEMPT);
        if !was_exempt {
            self.tally.notes.counted.set(true);
            self.tally.release_running();
            self.tally.release_request();
        }
        self.tally.release();
    }
}

/// Bytes of a response that HTTP/2 has taken and not sent, or a task of it.
#[derive(Debug)]
pub(super) struct Piece {
    tally: Arc<Tally>,
    is_counted: bool,
}

impl Piece {
    fn new(tally: Arc<Tally>, is_counted: bool) -> Self {
        tally.hold();
        if is_counted {
            tally.hold_request();
        }
        Self { tally, is_counted }
    }

    /// A task of HTTP/2, whose request is counted by itself.
    pub(super) fn task(tally: Arc<Tally>) -> Self {
        Self::new(tally, false)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.is_counted {
            self.tally.release_request();
        }
        self.tally.release();
    }
}

const COUNTED: u8 = 0;
const EXEMPT: u8 = 1;
/// The request has ended.
const OVER: u8 = 2;

/// Whether the layer has left a request alone.
#[derive(Debug)]
pub(super) struct Exemption {
    tally: Arc<Tally>,
    state: AtomicU8,
}

impl Exemption {
    pub(super) fn new(tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            tally,
            state: AtomicU8::new(COUNTED),
        })
    }

    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) == state
    }
}

impl OnExempt for Exemption {
    fn exempt(&self) {
        let (before, after) = (Ordering::AcqRel, Ordering::Acquire);
        let exempted = self.state.compare_exchange(COUNTED, EXEMPT, before, after);
        // Once only, and not if the request has ended, which has released them.
        if exempted.is_ok() {
            self.tally.release_running();
            self.tally.release_request();
            self.tally.wake();
        }
    }
}
