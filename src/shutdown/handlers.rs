//! Where signals come from.

use std::task::{Context, Poll};

use super::rules::Signal;
use crate::env::ConfigError;

#[derive(Debug)]
pub(super) enum Handlers {
    Installed(imp::Handlers),
    #[cfg(test)]
    Injected(tokio::sync::mpsc::UnboundedReceiver<Signal>),
}

impl Handlers {
    /// From here on the signals do not end the process. Those that come before they are asked for are kept.
    pub(super) fn install() -> Result<Self, ConfigError> {
        let failed = |cause| ConfigError::Signals { cause };
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(failed("make the `Shutdown` inside a tokio runtime".into()));
        }
        let installed = imp::Handlers::install().map_err(|error| failed(error.to_string()))?;
        Ok(Self::Installed(installed))
    }

    /// The next signal. Cancel safe. Of two that came, SIGTERM is first: as the first signal it begins what
    /// the other one cuts.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        match self {
            Self::Installed(installed) => installed.poll_next(cx),
            #[cfg(test)]
            Self::Injected(injected) => match injected.poll_recv(cx) {
                Poll::Ready(Some(signal)) => Poll::Ready(signal),
                _ => Poll::Pending,
            },
        }
    }
}

/// Warns of those that cannot come because every thread has them blocked, as a parent may leave them. Safe code cannot
/// change that.
#[cfg(target_os = "linux")]
pub(super) fn warn_of_blocked() {
    let blocked = blocked();
    let is_blocked = |signal: &Signal| blocked & (1 << (signal.number() - 1)) != 0;
    let signals = [Signal::Int, Signal::Term].into_iter().filter(is_blocked);
    let names: Vec<_> = signals.map(Signal::name).collect();
    if !names.is_empty() {
        super::log::signals_blocked(&names);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn warn_of_blocked() {}

/// What no thread of this process can get. 0 where that cannot be read.
#[cfg(target_os = "linux")]
fn blocked() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("status")).ok()
    };
    let masks = tasks.filter_map(|task| blocked_in(&status(task)?));
    masks.reduce(|all, mask| all & mask).unwrap_or(0)
}

/// The mask in a thread's `status`, as proc(5) has it: a bit for each signal, that of 1 the lowest.
#[cfg(target_os = "linux")]
fn blocked_in(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::task::{Context, Poll};

    use tokio::signal::unix::{signal, SignalKind};

    use super::super::rules::Signal;

    #[derive(Debug)]
    pub(in crate::shutdown) struct Handlers {
        term: tokio::signal::unix::Signal,
        int: tokio::signal::unix::Signal,
    }

    impl Handlers {
        pub(super) fn install() -> io::Result<Self> {
            Ok(Self {
                term: signal(SignalKind::terminate())?,
                int: signal(SignalKind::interrupt())?,
            })
        }

        pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            if self.term.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Term);
            }
            self.int.poll_recv(cx).map(|_| Signal::Int)
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::io;
    use std::task::{Context, Poll};

    use tokio::signal::windows::{
        ctrl_c, ctrl_close, ctrl_shutdown, CtrlC, CtrlClose, CtrlShutdown,
    };

    use super::super::rules::Signal;

    #[derive(Debug)]
    pub(in crate::shutdown) struct Handlers {
        close: CtrlClose,
        shutdown: CtrlShutdown,
        int: CtrlC,
    }

    impl Handlers {
        pub(super) fn install() -> io::Result<Self> {
            Ok(Self {
                close: ctrl_close()?,
                shutdown: ctrl_shutdown()?,
                int: ctrl_c()?,
            })
        }

        pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            if self.close.poll_recv(cx).is_ready() || self.shutdown.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Term);
            }
            self.int.poll_recv(cx).map(|_| Signal::Int)
        }
    }
}
