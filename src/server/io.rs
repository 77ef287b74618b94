//! The socket as hyper sees it, watched for what hyper has written and the peer not taken.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::closing::Closing;
use super::tally::Tally;

pub(super) struct Io<T: 'static> {
    inner: T,
    tally: Arc<Tally>,
    closing: Option<Box<Closing>>,
}

impl<T> Io<T> {
    pub(super) fn new(inner: T, tally: Arc<Tally>) -> Self {
        Self {
            inner,
            tally,
            closing: None,
        }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.tally.notes.blocked.set(true),
            Poll::Ready(Ok(bytes)) => self.tally.notes.wrote(bytes),
            Poll::Ready(Err(_)) => {}
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
        let heard = &buf.filled()[before..];
        if !heard.is_empty() {
            self.tally.notes.read(heard);
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
        self.tally.notes.writes();
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tally.notes.writes();
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write, and only then is everything out.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        match flushed {
            Poll::Pending => self.tally.notes.blocked.set(true),
            Poll::Ready(_) => self.tally.notes.unflushed.set(false),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            inner,
            tally,
            closing,
        } = &mut *self;
        if tally.notes.upgraded.get() {
            return Pin::new(inner).poll_shutdown(cx);
        }
        let closing = closing.get_or_insert_with(|| Box::new(Closing::new(tally)));
        closing.poll(inner, tally, cx)
    }
}

impl<T> Drop for Io<T> {
    /// A response that ends with its connection looks whole whenever that ends in order. So one that was cut short ends
    /// in a reset, which a TCP socket sends if it is closed without lingering.
    fn drop(&mut self) {
        if !self.tally.notes.is_cut_short() {
            return;
        }
        let inner: &dyn Any = &self.inner;
        if let Some(tcp) = inner.downcast_ref::<TcpStream>() {
            // Deprecated because a linger that is not zero blocks the thread; its successor is younger than our oldest
            // tokio.
            #[allow(deprecated)]
            let _ = tcp.set_linger(Some(Duration::ZERO));
        }
    }
}
