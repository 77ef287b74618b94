//! Lines of the log.

#[cfg(any(feature = "axum", feature = "server"))]
use std::time::Duration;

#[cfg(any(feature = "axum", feature = "server"))]
use tokio::time::Instant;

use crate::contained;

/// Runs what writes a line. A subscriber may panic, as that of `tracing-subscriber` does where stderr is gone: the
/// process that read it may have had the same signal. That ends the line and nothing else.
pub(crate) fn write(line: impl FnOnce()) {
    drop(contained::call(line));
}

#[cfg(any(feature = "axum", feature = "server"))]
const RARELY: Duration = Duration::from_secs(1);

/// A line about what fails again and again for one cause.
#[cfg(any(feature = "axum", feature = "server"))]
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    written: Option<Instant>,
}

#[cfg(any(feature = "axum", feature = "server"))]
impl Rarely {
    /// At most once a second.
    pub(crate) fn write(&mut self, line: impl FnOnce()) {
        let now = Instant::now();
        let is_due = |written| now.saturating_duration_since(written) >= RARELY;
        if self.written.map_or(true, is_due) {
            self.written = Some(now);
            write(line);
        }
    }
}

#[cfg(all(test, any(feature = "axum", feature = "server")))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_fifty_times_a_second_is_said_once_a_second() {
        let (mut rarely, mut lines) = (Rarely::default(), 0);
        for _ in 0..150 {
            rarely.write(|| lines += 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(lines, 3);
    }
}
