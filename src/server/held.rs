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
        match self.is_exempt() {
            true => Piece::Exempt(BesidesHeld::new(self.tally.clone())),
            false => Piece::Counted(PieceHeld::new(self.tally.clone())),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(exemption) = &self.exemption {
            if exemption.state.swap(OVER, Ordering::AcqRel) == EXEMPT {
                self.tally.release_besides();
            }
        }
        self.tally.release();
    }
}

/// In flight, but no request of the drain's: a task of HTTP/2.
#[derive(Debug)]
pub(super) struct BesidesHeld(Arc<Tally>);

impl BesidesHeld {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        tally.hold();
        tally.hold_besides();
        Self(tally)
    }
}

impl Drop for BesidesHeld {
    fn drop(&mut self) {
        self.0.release_besides();
        self.0.release();
    }
}

/// Bytes of a response that HTTP/2 has taken and not sent.
#[derive(Debug)]
pub(super) struct PieceHeld(Arc<Tally>);

impl PieceHeld {
    fn new(tally: Arc<Tally>) -> Self {
        tally.hold();
        tally.hold_piece();
        Self(tally)
    }
}

impl Drop for PieceHeld {
    fn drop(&mut self) {
        self.0.release_piece();
        self.0.release();
    }
}

/// Held, and never read.
#[derive(Debug)]
pub(super) enum Piece {
    Counted(#[allow(dead_code)] PieceHeld),
    Exempt(#[allow(dead_code)] BesidesHeld),
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
        // Held before it is said, so that the end of the request never releases what is not held yet.
        self.tally.hold_besides();
        let (before, after) = (Ordering::AcqRel, Ordering::Acquire);
        let exempted = self.state.compare_exchange(COUNTED, EXEMPT, before, after);
        match exempted {
            Ok(_) => self.tally.wake(),
            Err(_) => self.tally.release_besides(),
        }
    }
}
