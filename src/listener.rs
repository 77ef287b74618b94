//! A listener for `axum::serve` that closes apart from its connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::time::sleep;

use crate::backlog::{Backlog, Failing};
use crate::race::{race, Either};
use crate::{AcceptClosed, DrainHandle};

/// How long not to accept when the process has no file left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A TCP listener for `axum::serve` whose socket closes when the [`Shutdown`](crate::Shutdown) of its handle wants that,
/// before connections are told to stop.
///
/// Connections that wait in the backlog at that moment are still accepted. After that nothing is: the socket is
/// closed, and further clients are refused at once.
///
/// Errors of accepting are passed over at once; it pauses for 100 ms where files, buffers or memory have run out, and
/// for 10 ms after more than 64 errors in a row.
///
/// ```no_run
/// # use axum::Router;
/// use tower_drain::{BoxError, DrainLayer, DrainListener, Shutdown, ShutdownReport};
///
/// #[tokio::main]
/// async fn main() -> Result<ShutdownReport, BoxError> {
///     let layer = DrainLayer::new();
///     let handle = layer.handle();
///     let shutdown = Shutdown::new(handle.clone());
///     let listener = DrainListener::bind("127.0.0.1:3000", &handle).await?;
///     # let app = Router::new();
///     let app = app.layer(layer);
///     shutdown
///         .run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop))
///         .await
/// }
/// ```
#[derive(Debug)]
pub struct DrainListener {
    socket: Socket,
    local_addr: SocketAddr,
    closing: AcceptClosed,
    failing: Failing,
}

#[derive(Debug)]
enum Socket {
    Open(TcpListener),
    Closing(Backlog<std::net::TcpListener>),
    Closed,
}

impl DrainListener {
    /// Binds a socket.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves no socket behind.
    pub async fn bind(addr: impl ToSocketAddrs, handle: &DrainHandle) -> io::Result<Self> {
        Self::new(TcpListener::bind(addr).await?, handle)
    }

    /// Takes a socket that is bound.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::local_addr`].
    pub fn new(listener: TcpListener, handle: &DrainHandle) -> io::Result<Self> {
        Ok(Self {
            local_addr: listener.local_addr()?,
            socket: Socket::Open(listener),
            closing: handle.accept_closed(),
            failing: Failing::default(),
        })
    }

    /// The address it is bound to, also once it is closed.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next connection, from the backlog too; pending for ever once that is empty. Cancel safe.
    async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = match &mut self.socket {
                Socket::Open(listener) => match race(&mut self.closing, listener.accept()).await {
                    Either::First(()) => {
                        self.close();
                        continue;
                    }
                    Either::Second(accepted) => accepted,
                },
                Socket::Closing(backlog) => match backlog.next_tcp() {
                    Some(accepted) => accepted,
                    None => {
                        self.socket = Socket::Closed;
                        continue;
                    }
                },
                Socket::Closed => std::future::pending().await,
            };
            match accepted {
                Ok(accepted) => {
                    self.failing.accepted();
                    return accepted;
                }
                Err(error) => {
                    if let Some(pause) = self.failing.pause(error, EXHAUSTED) {
                        sleep(pause).await;
                    }
                }
            }
        }
    }

    fn close(&mut self) {
        self.socket = match std::mem::replace(&mut self.socket, Socket::Closed) {
            Socket::Open(listener) => Socket::Closing(Backlog::new(listener.into_std())),
            socket => socket,
        };
    }
}

impl axum::serve::Listener for DrainListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.local_addr)
    }
}
