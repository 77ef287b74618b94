//! What the operating system has let in when a socket closes.
//!
//! The runtime remembers that a listener had nothing to accept, and asks the system again only after an event that it
//! may not have seen yet. So the listener is taken from the runtime, and the system itself is asked.

use std::future::{ready, Ready};
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::accept::tcp_ready;
use crate::BoxError;

/// No system keeps more; a flood of newcomers does not keep the socket open.
const LONGEST: usize = 65_535;

#[derive(Debug)]
struct Backlog<L> {
    listener: Option<io::Result<L>>,
    left: usize,
}

impl<L> Backlog<L> {
    fn new(listener: io::Result<L>) -> Self {
        Self {
            listener: Some(listener),
            left: LONGEST,
        }
    }

    fn next<T>(&mut self, accept: impl FnOnce(&L) -> io::Result<T>) -> Option<io::Result<T>> {
        let listener = match self.listener.take()? {
            Ok(listener) => listener,
            Err(error) => return Some(Err(error)),
        };
        let accepted = match accept(&listener) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            accepted => accepted,
        };
        self.left -= usize::from(accepted.is_ok());
        if self.left > 0 {
            self.listener = Some(Ok(listener));
        }
        Some(accepted)
    }
}

/// The backlog of a [`TcpListener`].
#[derive(Debug)]
pub struct TcpBacklog(Backlog<std::net::TcpListener>);

impl TcpBacklog {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self(Backlog::new(listener.into_std()))
    }
}

impl Iterator for TcpBacklog {
    type Item = io::Result<(Ready<Result<TcpStream, BoxError>>, SocketAddr)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|listener| {
            let (tcp, peer) = listener.accept()?;
            tcp.set_nonblocking(true)?;
            Ok((tcp_ready(TcpStream::from_std(tcp)?), peer))
        })
    }
}

/// The backlog of a [`UnixListener`].
#[cfg(unix)]
#[derive(Debug)]
pub struct UnixBacklog(Backlog<std::os::unix::net::UnixListener>);

#[cfg(unix)]
impl UnixBacklog {
    pub(super) fn new(listener: UnixListener) -> Self {
        Self(Backlog::new(listener.into_std()))
    }
}

#[cfg(unix)]
impl Iterator for UnixBacklog {
    type Item = io::Result<(
        Ready<Result<UnixStream, BoxError>>,
        std::os::unix::net::SocketAddr,
    )>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|listener| {
            let (unix, peer) = listener.accept()?;
            unix.set_nonblocking(true)?;
            Ok((ready(Ok(UnixStream::from_std(unix)?)), peer))
        })
    }
}
