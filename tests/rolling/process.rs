//! Child processes, free ports and the folder of a run.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A folder for configurations, sockets and logs, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let (pid, unique) = (std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("rolling-{name}-{pid}-{unique:08x}"));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves it for whoever wants to know what went wrong.
    pub(crate) fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// An address of the loopback nobody listens on, and that nobody else is given while this process lives: the same port
/// of UDP, which no server wants, is held for it. A server that is down has its port free for as long.
///
/// Below the ports that the kernel hands to outgoing connections: while a server is down, one of the proxy's own
/// connections could take its port otherwise, and the server could not come back.
pub(crate) fn free_addr() -> SocketAddr {
    static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let (addr, held) = (0..1000)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(12_000..32_000))))
        .find_map(|addr| {
            let held = UdpSocket::bind(addr).ok()?;
            TcpListener::bind(addr).ok()?;
            Some((addr, held))
        })
        .expect("one of 1000 ports is free");
    GIVEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(held);
    addr
}

/// Where a program is: on the `PATH`, or where Debian puts servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(sbin)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Starts `command` with its output in `log`. The child dies with its handle.
pub(crate) fn spawn(mut command: Command, log: &Path) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

/// The process group of a child that leads it. What is left of it is killed when this is dropped: the child itself, and
/// what it has started, such as the server behind a shell.
#[derive(Debug)]
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// That of `child`, which was spawned with `process_group(0)`.
    pub(crate) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.map(Pid::from_raw))
    }

    pub(crate) fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // An error: nothing is left of it.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether nothing accepts connections on `addr` any more, at the latest after `limit`.
pub(crate) async fn is_free(addr: SocketAddr, limit: Duration) -> bool {
    let begin = Instant::now();
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        if begin.elapsed() > limit {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Waits until something accepts connections on `addr`.
///
/// # Errors
///
/// If the child has left, or nothing has accepted within `limit`.
pub(crate) async fn accepts(
    addr: SocketAddr,
    child: &mut Child,
    limit: Duration,
) -> Result<(), String> {
    let begin = Instant::now();
    while tokio::net::TcpStream::connect(addr).await.is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it left before it listened on {addr}: {status}"));
        }
        if begin.elapsed() > limit {
            return Err(format!("nothing listens on {addr} after {limit:?}"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Sends the signal, by its name without `SIG`, and waits for the end.
///
/// # Errors
///
/// If the child is still there after `limit`; it is killed then.
pub(crate) async fn terminate(
    child: &mut Child,
    signal: &str,
    limit: Duration,
) -> Result<ExitStatus, String> {
    let pid = child.id().ok_or("it had left before the signal")?;
    let sent = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .await;
    if !sent.as_ref().is_ok_and(ExitStatus::success) {
        return Err(format!("cannot send SIG{signal} to {pid}: {sent:?}"));
    }
    match timeout(limit, child.wait()).await {
        Ok(status) => status.map_err(|error| error.to_string()),
        Err(_) => {
            let _ = child.kill().await;
            Err(format!("still there {limit:?} after SIG{signal}, killed"))
        }
    }
}
