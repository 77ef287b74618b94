use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a drain came to, from [`DrainHandle::wait_for_drain`](crate::DrainHandle::wait_for_drain).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// From the later of the call and the begin of rejecting until the last in flight was gone.
    pub waited: Duration,
    /// How many were in flight when rejecting began.
    pub in_flight_at_start: usize,
    /// How many requests and tracked futures were cut in this drain.
    pub cut: usize,
    /// How many requests were rejected in this drain.
    pub rejected: u64,
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "drained in {:.1} s: {} in flight at the start, {} cut, {} rejected",
            self.waited.as_secs_f64(),
            self.in_flight_at_start,
            self.cut,
            self.rejected
        )
    }
}

/// Why [`DrainHandle::wait_for_drain`](crate::DrainHandle::wait_for_drain) did not end in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainError {
    /// Some are still in flight.
    #[non_exhaustive]
    TimedOut {
        /// How many.
        in_flight: usize,
        /// How long this waiter's clock ran.
        waited: Duration,
    },
    /// [`DrainHandle::resume`](crate::DrainHandle::resume) took the drain back.
    Resumed,
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { in_flight, waited } => write!(
                f,
                "{in_flight} still in flight after {:.1} s: `cut` them, or wait longer",
                waited.as_secs_f64()
            ),
            Self::Resumed => f.write_str("the drain was taken back by a resume"),
        }
    }
}

impl Error for DrainError {}
