//! The end of a connection that hyper has finished with.
//!
//! A socket that is closed with input unread, or that gets input after it was closed, resets its peer, which may then
//! lose what it has not read. And a process that ends may take its network with it. So only the sending side is
//! closed first, and the socket stays until the peer has everything or has closed as well (RFC 9112, section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connection::poll_until;
use super::delivery::Delivery;
use super::ping::Ping;
use super::tally::{Tally, STOP};

/// How long a silent peer is waited for.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The same for a peer that has its response and may still be sending its request, as it did before.
const PAUSE_IN_UPLOAD: Duration = Duration::from_secs(1);
/// Behind no more than that, a peer that ends the connection while the server serves is taken to have it: it is on its way
/// for a round trip at most, and each close would cost a reading of the send queues.
const SMALL: usize = 64 * 1024;
/// How much is read at a time of what a peer sends that is no longer listened to.
const READS: usize = 16;
/// How long a peer that goes on sending is listened to, as nginx does (`lingering_time`).
const LISTENING: Duration = Duration::from_secs(30);

pub(super) struct Closing {
    began: Instant,
    heard: Instant,
    silence: Option<Pin<Box<Sleep>>>,
    /// What asks a peer of HTTP/2 whether it has read everything.
    ping: Option<Ping>,
    half_closed: bool,
    /// The peer has ended its side, and may still be reading.
    has_ended: bool,
}

impl Closing {
    pub(super) fn new(tally: &Tally) -> Self {
        tally.notes.closing.set(true);
        let asks =
            tally.notes.http2.get() && tally.standing().was_told(STOP) && !tally.notes.quiet.get();
        Self {
            began: Instant::now(),
            heard: Instant::now(),
            silence: None,
            ping: asks.then(Ping::new),
            half_closed: false,
            has_ended: false,
        }
    }

    /// Ready when the socket may be dropped.
    pub(super) fn poll<T>(
        &mut self,
        io: &mut T,
        tally: &Tally,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.half_closed {
            if let Some(ping) = &mut self.ping {
                if let Err(error) = ready!(ping.poll_send(io, cx)) {
                    return Poll::Ready(ended(tally, &error));
                }
            }
            if let Err(error) = ready!(Pin::new(&mut *io).poll_shutdown(cx)) {
                return Poll::Ready(ended(tally, &error));
            }
            tally.notes.half_closed.set(true);
            self.half_closed = true;
        }
        let mut space = [0; 4096];
        for _ in 0..READS {
            if self.has_ended {
                break;
            }
            let mut unread = ReadBuf::new(&mut space);
            match Pin::new(&mut *io).poll_read(cx, &mut unread) {
                Poll::Pending => return self.poll_silent(tally, cx).map(Ok),
                Poll::Ready(Err(error)) => return Poll::Ready(ended(tally, &error)),
                Poll::Ready(Ok(())) => {}
            }
            let heard = unread.filled();
            let is_answered = |ping: &mut Ping| ping.is_answered(heard);
            if self.ping.as_mut().is_some_and(is_answered) {
                return Poll::Ready(Ok(()));
            }
            self.has_ended = heard.is_empty();
            self.heard = Instant::now();
            if self.has_listened_long(tally) {
                break;
            }
        }
        if !self.has_ended && !self.has_listened_long(tally) {
            // There is more to read, and others wait for this thread.
            cx.waker().wake_by_ref();
        }
        self.poll_silent(tally, cx).map(Ok)
    }

    /// A peer of HTTP/2 that was told of the stop goes on sending for as long as it reads.
    fn has_listened_long(&self, tally: &Tally) -> bool {
        let reads = tally.notes.http2.get() && tally.standing().was_told(STOP);
        !reads && self.began.elapsed() >= LISTENING
    }

    /// The peer says nothing, for now or for good.
    fn poll_silent(&mut self, tally: &Tally, cx: &mut Context<'_>) -> Poll<()> {
        let Tally { notes, .. } = tally;
        if tally.standing().was_told(STOP) {
            return self.poll_stopped(tally, cx);
        }
        if !self.has_ended && !self.has_listened_long(tally) {
            ready!(poll_until(&mut self.silence, self.heard + LINGER, cx));
        } else if notes.since_request() <= SMALL {
            return Poll::Ready(());
        }
        poll_delivered(tally)
    }

    fn poll_stopped(&mut self, tally: &Tally, cx: &mut Context<'_>) -> Poll<()> {
        let Tally { notes, .. } = tally;
        if notes.quiet.get() {
            return Poll::Ready(());
        }
        let delivery = tally.delivery();
        ready!(poll_delivered(tally));
        let is_done = delivery == Delivery::Acknowledged && !notes.http2.get();
        let patience = match is_done {
            true if !notes.uploads.get() => return Poll::Ready(()),
            true => PAUSE_IN_UPLOAD,
            false => LINGER,
        };
        if self.has_ended || self.has_listened_long(tally) {
            return Poll::Ready(());
        }
        ready!(poll_until(&mut self.silence, self.heard + patience, cx));
        if tally.may_be_slow() {
            if self.ping.is_some() {
                // A peer of HTTP/2 answers when it has read everything; there is no other sign.
                return Poll::Pending;
            }
            if delivery == Delivery::Unknown {
                notes.lost.set(true);
            }
        }
        Poll::Ready(())
    }
}

/// Ready unless the system says that something is still on its way.
fn poll_delivered(tally: &Tally) -> Poll<()> {
    if tally.delivery() == Delivery::Outstanding {
        tally.readings.ask();
        return Poll::Pending;
    }
    Poll::Ready(())
}

/// A peer that resets the connection wants no more of it. Any other error is the network's, and the peer may still want
/// what it has not got.
fn ended(tally: &Tally, error: &io::Error) -> io::Result<()> {
    let is_peers = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::WriteZero
    );
    if !is_peers && tally.standing().was_told(STOP) {
        tally.notes.lost.set(true);
    }
    Ok(())
}
