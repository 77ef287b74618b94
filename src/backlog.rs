//! What the operating system has let in when a listening socket closes.
//!
//! The runtime remembers that a listener had nothing to accept, and asks the system again only after an event that it
//! may not have seen yet. So the listener is taken from the runtime, and the system itself is asked.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::lines::{self, Rarely};
use crate::one_line::OneLine;
use crate::words;

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

/// Errors in a row that are retried without a pause.
pub(crate) const IN_A_ROW: u32 = 64;
/// The pause between later ones, so that accepting does not take a whole core.
const BETWEEN: Duration = Duration::from_millis(10);

/// The errors of a listener since its last connection.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    in_a_row: u32,
    told: Rarely,
}

impl Failing {
    /// How long to wait before the next accept; `None` is at once. `exhausted` is for the errors that end when
    /// something else is given back. Any other is of one connection or of the network, as
    /// [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html#DESCRIPTION) has it, and a peer could make all
    /// others wait by it.
    ///
    /// The error ends here: it may be the caller's, and panic.
    pub(crate) fn pause(&mut self, error: io::Error, exhausted: Duration) -> Option<Duration> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let waits = is_out_of_something(&error) || is_panic(&error);
        let words = words::of_last(error.into());
        let error = OneLine(&words);
        let pause = match waits {
            true => exhausted,
            false if self.in_a_row > IN_A_ROW => BETWEEN,
            false => {
                lines::write(
                    || tracing::debug!(target: "tower_drain", %error, "accepting a connection failed"),
                );
                return None;
            }
        };
        self.told.write(|| {
            tracing::error!(
                target: "tower_drain",
                %error,
                "accepting a connection failed; going on after a pause"
            );
        });
        Some(pause)
    }

    pub(crate) fn accepted(&mut self) {
        self.in_a_row = 0;
    }
}

/// A panic of the caller's listener, with its message.
#[derive(Debug)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl Error for Panicked {}

/// A panic of a listener counts as an error of it that does not end at once.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
pub(crate) fn panicked(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::Other, Panicked(message))
}

fn is_panic(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Panicked>())
}

/// Out of files, of the process or of the system, of buffers or of memory.
fn is_out_of_something(error: &io::Error) -> bool {
    const OUT_OF: [i32; 4] = match cfg!(windows) {
        // WSAEMFILE, WSAENOBUFS, WSA_NOT_ENOUGH_MEMORY, ERROR_TOO_MANY_OPEN_FILES.
        true => [10024, 10055, 8, 4],
        // EMFILE, ENFILE, ENOMEM, ENOBUFS.
        false => [24, 23, 12, ENOBUFS],
    };
    let number = error.raw_os_error();
    error.kind() == io::ErrorKind::OutOfMemory
        || number.is_some_and(|number| OUT_OF.contains(&number))
}

const ENOBUFS: i32 = match cfg!(any(target_os = "linux", target_os = "android")) {
    true => 105,
    false => 55, // of BSD, and so of macOS
};

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
        assert!(reset.unwrap().is_err());
        assert!(backlog.next(|()| Ok(())).unwrap().is_ok());
        let empty = backlog.next(|()| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        assert!(empty.is_none() && backlog.listener.is_none());
    }

    #[test]
    fn a_pause_is_for_what_ran_out_and_for_errors_that_go_on_and_on() {
        let long = Duration::from_secs(1);
        let mut failing = Failing::default();
        let full = || io::Error::from(io::ErrorKind::OutOfMemory);
        assert_eq!(failing.pause(full(), long), Some(long));
        failing.accepted();

        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        for _ in 0..IN_A_ROW {
            assert_eq!(failing.pause(broken(), long), None);
        }
        assert_eq!(failing.pause(broken(), long), Some(BETWEEN));
        assert_eq!(failing.pause(full(), long), Some(long));
        failing.accepted();
        assert_eq!(failing.pause(broken(), long), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_runs_out_is_known_by_its_number() {
        for number in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(is_out_of_something(&io::Error::from_raw_os_error(number)));
        }
        for number in [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::EINTR] {
            assert!(!is_out_of_something(&io::Error::from_raw_os_error(number)));
        }
    }
}
