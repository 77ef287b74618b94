//! The body of an answer, and its bytes after it.
//!
//! HTTP/1 writes to its socket in the poll in which it takes a body's last frame. HTTP/2 drops the body when it has
//! taken the frames, and keeps the bytes until the peer's window has room for them: so there each piece of data is
//! held by itself.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::held::{Held, Piece};

pin_project! {
    pub(super) struct HeldBody<B> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        body: B,
        held: Option<Held>,
        http2: bool,
    }
}

impl<B> HeldBody<B> {
    pub(super) fn new(body: B, held: Option<Held>, http2: bool) -> Self {
        Self { body, held, http2 }
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = HeldData<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        if let (Poll::Ready(None), Some(held)) = (&frame, &*this.held) {
            held.tally().notes.ended.set(true);
        }
        let held = this.held.as_ref().filter(|_| *this.http2);
        frame.map_ok(|frame| {
            frame.map_data(|data| HeldData {
                data,
                _held: held.map(Held::piece),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        let is_end = self.body.is_end_stream();
        if let (true, Some(held)) = (is_end, &self.held) {
            held.tally().notes.ended.set(true);
        }
        is_end
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[derive(Debug)]
pub(super) struct HeldData<D> {
    data: D,
    _held: Option<Piece>,
}

impl<D: Buf> Buf for HeldData<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(dst)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.data.copy_to_bytes(len)
    }
}
