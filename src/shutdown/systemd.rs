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
    /// Until what was not heard is told again: the socket was full, or no file was left for one.
    const AGAIN: Duration = Duration::from_secs(1);

    /// Says that the service is ready. Never ends.
    pub(in super::super) async fn ready() -> Infallible {
        if let Some(to) = notify_socket() {
            match address(&to) {
                Ok(address) => {
                    let mut ready = Message::new("READY=1");
                    while !ready.is_heard(&address) {
                        sleep(AGAIN).await;
                    }
                }
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
        let mut stopping = Message::new("STOPPING=1");
        // `EXTEND_TIMEOUT_USEC` never shortens what the unit grants.
        let mut extension = Message::new(EXTENSION);
        let mut is_told = false;
        loop {
            is_told = is_told || stopping.is_heard(&address);
            let is_extended = extension.is_heard(&address);
            sleep(if is_told && is_extended { EVERY } else { AGAIN }).await;
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

        /// Tells it. Its first failure is logged.
        fn is_heard(&mut self, address: &SocketAddr) -> bool {
            let sent = send(self.text, address);
            if let Err(error) = &sent {
                if !std::mem::replace(&mut self.has_failed, true) {
                    log::systemd_not_told(self.text, error);
                }
            }
            sent.is_ok()
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
