//! What systemd is told, where the process has a `NOTIFY_SOCKET`, by the protocol of
//! [sd_notify(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
//!
//! No message is waited for: what the socket has no room for is told again later, and what fails is a line of the log.

#[cfg(all(feature = "systemd", target_os = "linux"))]
mod imp {
    use std::convert::Infallible;
    use std::ffi::{OsStr, OsString};
    use std::future::pending;
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::shutdown::log;

    /// Long enough for a process that hardly gets to run to repeat itself in time.
    const EXTENSION: &str = "EXTEND_TIMEOUT_USEC=20000000";
    const EVERY: Duration = Duration::from_secs(5);
    /// Between two attempts at a socket that is full.
    const AGAIN: Duration = Duration::from_millis(100);

    /// Says that the service is ready. Never ends.
    pub(in super::super) async fn ready() -> Infallible {
        if let Some(to) = notify_socket() {
            match address(&to) {
                Ok(address) => Message::new("READY=1").tell_until_heard(&address).await,
                Err(error) => log::notify_socket_unusable(&to.to_string_lossy(), &error),
            }
        }
        pending().await
    }

    /// Says that the service stops, and asks for time for as long as it is polled. Never ends.
    pub(in super::super) async fn stopping() -> Infallible {
        // What is wrong with it was said at the start.
        let Some(Ok(address)) = notify_socket().map(|to| address(&to)) else {
            return pending().await;
        };
        Message::new("STOPPING=1").tell_until_heard(&address).await;
        // `EXTEND_TIMEOUT_USEC` never shortens what the unit grants.
        let mut extension = Message::new(EXTENSION);
        loop {
            extension.is_to_be_told_again(&address);
            sleep(EVERY).await;
        }
    }

    fn notify_socket() -> Option<OsString> {
        std::env::var_os("NOTIFY_SOCKET").filter(|to| !to.is_empty())
    }

    /// A path, or an abstract name behind `@`.
    fn address(to: &OsStr) -> io::Result<SocketAddr> {
        match to.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(to),
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "only a path and an abstract socket (`@name`) are supported",
            )),
        }
    }

    struct Message {
        text: &'static str,
        has_failed: bool,
    }

    impl Message {
        fn new(text: &'static str) -> Self {
            Self {
                text,
                has_failed: false,
            }
        }

        async fn tell_until_heard(mut self, address: &SocketAddr) {
            while self.is_to_be_told_again(address) {
                sleep(AGAIN).await;
            }
        }

        /// Tells it, and logs its first failure. `true` if there was no room for it.
        fn is_to_be_told_again(&mut self, address: &SocketAddr) -> bool {
            let Err(error) = send(self.text, address) else {
                return false;
            };
            if !std::mem::replace(&mut self.has_failed, true) {
                log::systemd_not_told(self.text, &error);
            }
            error.kind() == io::ErrorKind::WouldBlock
        }
    }

    fn send(text: &str, address: &SocketAddr) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(text.as_bytes(), address).map(drop)
    }
}

#[cfg(not(all(feature = "systemd", target_os = "linux")))]
mod imp {
    use std::convert::Infallible;

    pub(in super::super) async fn ready() -> Infallible {
        std::future::pending().await
    }

    pub(in super::super) async fn stopping() -> Infallible {
        std::future::pending().await
    }
}

pub(super) use self::imp::{ready, stopping};
