//! A ping of HTTP/2 behind everything that was sent.
//!
//! Its answer says that the peer has read all of it, which an acknowledgement of TCP does not: several megabytes may
//! wait in the peer's own system. hyper's ping behind the GOAWAY is no such answer, because data may follow it.

use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use tokio::io::AsyncWrite;

/// A frame of eight bytes, type PING, on stream 0 (RFC 9113, section 6.7).
const HEAD: [u8; 9] = [0, 0, 8, 6, 0, 0, 0, 0, 0];
const ACK: u8 = 1;
const LENGTH: usize = 17;

pub(super) struct Ping {
    frame: [u8; LENGTH],
    sent: usize,
    is_flushed: bool,
    /// How many bytes of the answer have been matched.
    matched: usize,
}

impl Ping {
    /// A ping with a payload that no other frame has by accident, so that its answer is found without knowing where
    /// frames begin.
    pub(super) fn new() -> Self {
        let mut frame = [0; LENGTH];
        frame[..9].copy_from_slice(&HEAD);
        frame[9..].copy_from_slice(&fastrand::u64(..).to_be_bytes());
        Self {
            frame,
            sent: 0,
            is_flushed: false,
            matched: 0,
        }
    }

    pub(super) fn poll_send<T>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncWrite + Unpin,
    {
        while self.sent < LENGTH {
            let rest = &self.frame[self.sent..];
            match ready!(Pin::new(&mut *io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut *io).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Returns whether the answer was among these bytes, or ends with them.
    pub(super) fn is_answered(&mut self, heard: &[u8]) -> bool {
        for &byte in heard {
            self.matched = match byte == self.answer(self.matched) {
                true => self.matched + 1,
                false => self.restart(byte),
            };
            if self.matched == LENGTH {
                self.matched = 0;
                return true;
            }
        }
        false
    }

    fn answer(&self, at: usize) -> u8 {
        match at {
            4 => ACK,
            at => self.frame[at],
        }
    }

    /// Returns the length of the longest beginning of the answer that the bytes up to `byte` end with.
    fn restart(&self, byte: u8) -> usize {
        let seen = |at: usize| match at == self.matched {
            true => byte,
            false => self.answer(at),
        };
        let is_begun = |length: &usize| {
            let from = self.matched + 1 - length;
            (0..*length).all(|at| seen(from + at) == self.answer(at))
        };
        (1..=self.matched).rev().find(is_begun).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ping: &Ping) -> Vec<u8> {
        (0..LENGTH).map(|at| ping.answer(at)).collect()
    }

    #[test]
    fn an_answer_is_found_among_other_frames_and_in_pieces() {
        for before in [
            &[][..],
            &[0],
            &[0, 0, 0],
            &[0, 0, 8, 6, 1, 0, 0],
            &[7, 0, 0, 8],
        ] {
            let mut ping = Ping::new();
            let mut heard = before.to_vec();
            heard.extend(answer(&ping));
            let (last, most) = heard.split_last().unwrap();
            assert!(!ping.is_answered(most), "{before:?}");
            assert!(ping.is_answered(&[*last]), "{before:?}");
        }
    }

    #[test]
    fn another_ping_is_no_answer() {
        let mut ping = Ping::new();
        let own = ping.frame;
        assert!(!ping.is_answered(&own), "not acknowledged");
        let mut other = answer(&ping);
        other[16] ^= 1;
        assert!(!ping.is_answered(&other));
    }
}
