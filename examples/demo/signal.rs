//! The signal that ends a service under systemd, Docker and Kubernetes.

use std::io;

#[cfg(unix)]
pub(crate) struct Sigterm(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Sigterm {
    /// From here on SIGTERM no longer kills the process. Before the first request, or there is a gap.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{signal, SignalKind};
        Ok(Self(signal(SignalKind::terminate())?))
    }

    pub(crate) async fn recv(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(unix)]
pub(crate) fn raise() -> io::Result<()> {
    use nix::sys::signal::{kill, Signal};
    use nix::unistd::Pid;
    Ok(kill(Pid::this(), Signal::SIGTERM)?)
}

/// Windows has no SIGTERM: the demo goes on as if one had come.
#[cfg(not(unix))]
pub(crate) struct Sigterm;

#[cfg(not(unix))]
impl Sigterm {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn recv(&mut self) {}
}

#[cfg(not(unix))]
pub(crate) fn raise() -> io::Result<()> {
    Ok(())
}
