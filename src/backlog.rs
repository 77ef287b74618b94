//! What the operating system has let in when a listening socket closes.
//!
//! The runtime remembers that a listener had nothing to accept, and asks the system again only after an event that it
//! may not have seen yet. So the listener is taken from the runtime, and the system itself is asked.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

/// No system keeps more; a flood of newcomers does not keep the socket open.
const LONGEST: usize = 65_535;

#[derive(Debug)]
pub(crate) struct Backlog<L> {
    listener: Option<io::Result<L>>,
    left: usize,
}

impl<L> Backlog<L> {
    pub(crate) fn new(listener: io::Result<L>) -> Self {
        Self {
            listener: Some(listener),
            left: LONGEST,
        }
    }

    /// The next connection that `accept` makes of the listener; `None` at the end, upon which the socket is closed.
    pub(crate) fn next<T>(
        &mut self,
        accept: impl FnOnce(&L) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
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

impl Backlog<std::net::TcpListener> {
    pub(crate) fn next_tcp(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        self.next(|listener| {
            let (tcp, peer) = listener.accept()?;
            tcp.set_nonblocking(true)?;
            Ok((TcpStream::from_std(tcp)?, peer))
        })
    }
}

/// Whether accepting may go on at once: the one connection is gone.
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_newcomers_does_not_keep_the_socket_open() {
        let mut backlog = Backlog::new(Ok(()));
        let accepted = std::iter::from_fn(|| backlog.next(|()| Ok(())));
        assert_eq!(accepted.take(LONGEST + 1).count(), LONGEST);
    }

    #[test]
    fn an_error_of_one_connection_does_not_end_the_backlog() {
        let mut backlog = Backlog::new(Ok(()));
        let reset = backlog.next(|()| Err::<(), _>(io::ErrorKind::ConnectionReset.into()));
        assert!(is_of_one_connection(&reset.unwrap().unwrap_err()));
        assert!(backlog.next(|()| Ok(())).unwrap().is_ok());
        let empty = backlog.next(|()| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        assert!(empty.is_none() && backlog.listener.is_none());
    }
}
