//! What peers ask for, and what the server answers: every byte follows from the request's id and its own position.

use std::fmt;

/// How the handler hands the response over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// With a `content-length`; nothing is left of it in the handler's hands.
    One,
    /// In chunks of 16 KiB.
    Stream,
}

/// When the response begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The peer has its first bytes when the signal is sent.
    Before,
    /// Asked for in the lame duck.
    LameDuck,
    /// Asked for before the signal. The handler answers after the stop, once new requests are rejected.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) piece: Piece,
    pub(crate) begun: Begun,
    pub(crate) bytes: usize,
    /// Requests with the same number share a connection.
    pub(crate) connection: usize,
}

impl Ask {
    /// Each piece at each time, each on a connection of its own.
    pub(crate) fn all(pieces: &[(Piece, usize)]) -> Vec<Self> {
        let mut asks = Vec::new();
        for begun in [Begun::Before, Begun::LameDuck, Begun::Late] {
            for &(piece, bytes) in pieces {
                let id = asks.len();
                asks.push(Self {
                    id: id as u64,
                    piece,
                    begun,
                    bytes,
                    connection: id,
                });
            }
        }
        asks
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        let piece = match self.piece {
            Piece::One => "one",
            Piece::Stream => "stream",
        };
        let late = self.begun == Begun::Late;
        format!("/{piece}/{}?id={}&late={late}", self.bytes, self.id)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            piece,
            begun,
            bytes,
            id,
            ..
        } = self;
        write!(f, "request {id} ({piece:?}, {begun:?}, {bytes} bytes)")
    }
}

fn byte(id: u64, at: usize) -> u8 {
    (at ^ at >> 8 ^ at >> 16) as u8 ^ id as u8
}

pub(crate) fn body(id: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| byte(id, at)).collect()
}

/// What a peer has got of a response.
#[derive(Debug)]
pub(crate) struct Got {
    ask: Ask,
    bytes: usize,
}

impl Got {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { ask, bytes: 0 }
    }

    /// # Panics
    ///
    /// If a byte is not the one that was sent, or there are too many.
    pub(crate) fn take(&mut self, data: &[u8]) {
        for &got in data {
            let sent = byte(self.ask.id, self.bytes);
            assert_eq!(got, sent, "{}: byte {}", self.ask, self.bytes);
            self.bytes += 1;
        }
        assert!(self.bytes <= self.ask.bytes, "{}: too long", self.ask);
    }

    /// After an end that looks right.
    pub(crate) fn end(&self) -> End {
        match self.bytes == self.ask.bytes {
            true => End::Whole,
            false => self.broken("a clean end"),
        }
    }

    pub(crate) fn broken(&self, why: impl fmt::Display) -> End {
        let (got, all) = (self.bytes, self.ask.bytes);
        End::Broken(format!("{got} of {all} bytes, then {why}"))
    }
}

/// How a response ended for its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// With a 503.
    Rejected,
    Broken(String),
}
