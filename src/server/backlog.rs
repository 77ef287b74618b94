//! The backlogs of the listeners that the server knows.

use std::future::{ready, Ready};
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::accept::tcp_ready;
use crate::backlog::Backlog;
use crate::BoxError;

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
        let accepted = self.0.next_tcp()?;
        Some(accepted.map(|(tcp, peer)| (tcp_ready(tcp), peer)))
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
