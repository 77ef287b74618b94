//! The socket as hyper sees it, watched for what hyper has written and the peer not taken.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, Sleep};

use super::tally::{Tally, STOP};

/// How long a slow peer may go on reading what the operating system has taken.
const LINGER: Duration = Duration::from_secs(5);
/// How much is read, at the end, of what nobody will answer.
const DISCARDED: usize = 256 * 1024;

pub(super) struct Io<T> {
    inner: T,
    tally: Arc<Tally>,
    closing: Option<Closing>,
}

struct Closing {
    half_closed: bool,
    discarded: usize,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<T> Io<T> {
    pub(super) fn new(inner: T, tally: Arc<Tally>) -> Self {
        Self {
            inner,
            tally,
            closing: None,
        }
    }

    fn wrote<R>(&self, written: Poll<R>) -> Poll<R> {
        if written.is_pending() {
            self.tally.blocks();
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.tally.heard();
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tally.writes();
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tally.writes();
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write, and only then is everything out.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if flushed.is_ready() {
            self.tally.flushed();
        }
        self.wrote(flushed)
    }

    /// After the stop, the end of a connection is the end of its peer's answer. A socket that is closed with input
    /// unread resets the peer, who may then lose what it has not read; and a process that ends may take its
    /// network with it. So what has come is discarded, and a peer that was slower than its answer is waited for
    /// until it closes as well.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() && !this.tally.standing().was_told(STOP) {
            return Pin::new(&mut this.inner).poll_shutdown(cx);
        }
        let closing = this.closing.get_or_insert_with(|| {
            let lingers = this.tally.has_blocked();
            if lingers {
                this.tally.lingers();
            }
            Closing {
                half_closed: false,
                discarded: 0,
                linger: lingers.then(|| Box::pin(sleep(LINGER))),
            }
        });
        if let Some(linger) = &mut closing.linger {
            if linger.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
        if !closing.half_closed {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            closing.half_closed = true;
        }
        let mut space = [0; 4096];
        while closing.discarded < DISCARDED {
            let mut unread = ReadBuf::new(&mut space);
            match Pin::new(&mut this.inner).poll_read(cx, &mut unread) {
                Poll::Pending if closing.linger.is_some() => return Poll::Pending,
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {
                    closing.discarded += unread.filled().len();
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
