//! The signal that ends a service under systemd, Docker and Kubernetes.

use std::io;

use tower_drain::DrainHandle;

#[cfg(unix)]
pub(crate) fn terminate(_: &DrainHandle) -> io::Result<()> {
    use nix::sys::signal::{kill, Signal};
    use nix::unistd::Pid;
    Ok(kill(Pid::this(), Signal::SIGTERM)?)
}

/// Windows has no SIGTERM that a process could send itself.
#[cfg(not(unix))]
pub(crate) fn terminate(handle: &DrainHandle) -> io::Result<()> {
    handle.request_exit("no SIGTERM on Windows");
    Ok(())
}
