//! What systemd is told, where the process has a `NOTIFY_SOCKET`.

#[cfg(all(feature = "systemd", target_os = "linux"))]
mod imp {
    use std::time::Duration;

    use sd_notify::NotifyState;

    /// Long enough for a process that hardly gets to run to repeat itself in time.
    const EXTENSION: Duration = Duration::from_secs(20);
    const EVERY: Duration = Duration::from_secs(5);

    pub(in super::super) fn ready() {
        tell(NotifyState::Ready);
    }

    /// Says that the service stops, and asks for time for as long as it is polled.
    pub(in super::super) async fn stopping() {
        tell(NotifyState::Stopping);
        loop {
            // `EXTEND_TIMEOUT_USEC` never shortens what the unit grants.
            tell(NotifyState::ExtendTimeoutUsec(EXTENSION.as_micros() as u32));
            tokio::time::sleep(EVERY).await;
        }
    }

    fn tell(state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state]) {
            crate::shutdown::log::systemd_not_told(&error);
        }
    }
}

#[cfg(not(all(feature = "systemd", target_os = "linux")))]
mod imp {
    pub(in super::super) fn ready() {}

    pub(in super::super) async fn stopping() {
        std::future::pending().await
    }
}

pub(super) use self::imp::{ready, stopping};
