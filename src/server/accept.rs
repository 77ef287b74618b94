//! What a server accepts connections from.

use std::future::{ready, Future, Ready};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

#[cfg(unix)]
use super::UnixBacklog;
use super::{Handshaking, TcpBacklog};
use crate::BoxError;

/// A listening socket: [`TcpListener`], `UnixListener`, one of them with a [`handshake`](Self::handshake) on top, or
/// your own.
///
/// # Errors of accepting
///
/// Most errors concern one connection or the network, and the server goes on at once. If files (EMFILE, ENFILE), buffers
/// (ENOBUFS) or memory (ENOMEM; [`OutOfMemory`](io::ErrorKind::OutOfMemory)) have run out, it pauses for a second. After
/// 64 errors in a row it pauses for 10 ms after each, so that a listener that always fails does not take a whole core.
pub trait Accept: Send + Unpin + 'static {
    /// A connection that is ready for HTTP.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Where the peer is. Handlers find it as [`PeerAddr`](crate::PeerAddr) in the request's extensions.
    type Addr: Clone + Send + Sync + 'static;

    /// What makes a connection of what was accepted. It runs in the connection's own task, so that a slow peer does
    /// not hold up the others, and for at most 10 s. If it fails, the connection is dropped.
    type Handshake: Future<Output = Result<Self::Io, BoxError>> + Send + 'static;

    /// See [`close`](Self::close).
    type Backlog: Iterator<Item = io::Result<(Self::Handshake, Self::Addr)>>
        + Send
        + Unpin
        + 'static;

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// If none could be accepted now; the server asks again, [at once or after a pause](Self#errors-of-accepting).
    ///
    /// # Panics
    ///
    /// A panic counts as an error, here as in the backlog. One in [`close`](Self::close) leaves no backlog.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Handshake, Self::Addr)>>;

    /// Stops listening. Peers that the operating system has already let in are in the backlog, and are reset unless
    /// they are accepted from it; `None` says that it is empty, upon which it is dropped and with it the socket.
    ///
    /// The backlog must not block. A listener that has none returns [`std::iter::empty`].
    fn close(self) -> Self::Backlog;

    /// Makes a connection out of each of these connections, as TLS does:
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use tokio::net::TcpListener;
    /// use tokio_rustls::{rustls::ServerConfig, TlsAcceptor};
    /// use tower_drain::{Accept, BoxError};
    ///
    /// async fn listen(config: Arc<ServerConfig>) -> Result<impl Accept, BoxError> {
    ///     let acceptor = TlsAcceptor::from(config);
    ///     let tcp = TcpListener::bind("127.0.0.1:3443").await?;
    ///     Ok(tcp.handshake(move |tcp| acceptor.accept(tcp)))
    /// }
    /// ```
    ///
    /// `shake` is called in the connection's task; its future is bounded as every [handshake](Self::Handshake) is.
    fn handshake<F, Fut, Io, E>(self, shake: F) -> Handshaking<Self, F>
    where
        Self: Sized,
        F: FnOnce(Self::Io) -> Fut + Clone + Send + Unpin + 'static,
        Fut: Future<Output = Result<Io, E>> + Send + 'static,
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        E: Into<BoxError>,
    {
        Handshaking::new(self, shake)
    }
}

/// Sets `TCP_NODELAY`: an answer's last segment does not wait for the peer's acknowledgement.
impl Accept for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;
    type Handshake = Ready<Result<TcpStream, BoxError>>;
    type Backlog = TcpBacklog;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Handshake, SocketAddr)>> {
        TcpListener::poll_accept(self, cx).map_ok(|(tcp, peer)| (tcp_ready(tcp), peer))
    }

    fn close(self) -> TcpBacklog {
        TcpBacklog::new(self)
    }
}

pub(super) fn tcp_ready(tcp: TcpStream) -> Ready<Result<TcpStream, BoxError>> {
    // Fails on a socket that is already dead, which hyper finds out next.
    let _ = tcp.set_nodelay(true);
    ready(Ok(tcp))
}

/// The address is the standard library's.
#[cfg(unix)]
impl Accept for UnixListener {
    type Io = UnixStream;
    type Addr = std::os::unix::net::SocketAddr;
    type Handshake = Ready<Result<UnixStream, BoxError>>;
    type Backlog = UnixBacklog;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Handshake, Self::Addr)>> {
        UnixListener::poll_accept(self, cx).map_ok(|(unix, peer)| (ready(Ok(unix)), peer.into()))
    }

    fn close(self) -> UnixBacklog {
        UnixBacklog::new(self)
    }
}
