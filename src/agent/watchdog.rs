use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::caught::Caught;
use super::patience::Patience;
use super::ticks::Ticks;
use crate::env::{count, environment, period, ConfigError, Lookup};
use crate::{lines, words, BoxError, DrainReason};

const EVERY: &str = "HEALTHCHECK_INTERVAL_SECONDS";
const TIMEOUT: &str = "HEALTHCHECK_TIMEOUT_SECONDS";
const THRESHOLD: &str = "HEALTHCHECK_FAILURE_THRESHOLD";

pin_project! {
    /// Probes what this process depends on, and resolves with [`DrainReason::ConnectivityLost`] when it is out of reach.
    ///
    /// ```no_run
    /// # #[cfg(feature = "shutdown")]
    /// # fn example() -> Result<tower_drain::Shutdown, tower_drain::ConfigError> {
    /// use tokio::net::TcpStream;
    /// use tower_drain::{DrainHandle, Shutdown, Watchdog};
    ///
    /// let watchdog = Watchdog::from_env(|| async {
    ///     TcpStream::connect("10.0.0.7:5432").await?;
    ///     Ok(())
    /// })?;
    /// let shutdown = Shutdown::new(DrainHandle::new()).trigger(watchdog);
    /// # Ok(shutdown)
    /// # }
    /// ```
    ///
    /// Customised, and without a shutdown sequence:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use tower_drain::{DrainHandle, Watchdog};
    ///
    /// let handle = DrainHandle::new();
    /// let reason = Watchdog::new(|| async { Err("connection refused".into()) })
    ///     .every(Duration::from_secs(2))
    ///     .timeout(Duration::from_secs(1))
    ///     .threshold(3)
    ///     .await;
    /// assert_eq!(reason.to_string(), "connectivity lost after 3 failures: connection refused");
    /// handle.begin_shutdown_because(reason);
    /// # }
    /// ```
    ///
    /// # When it probes
    ///
    /// It is a future for `Shutdown::trigger`, or for a task of its own. The first probe starts when it is polled
    /// first, the next ones at every interval from then on, start to start. A probe that is still on at its timeout is
    /// dropped and has failed. Probes never overlap: one that takes longer than the interval is followed at once by
    /// the next, and the ticks that were missed are not made up for. So many failures in a row as the threshold says
    /// resolve it, and one success in between starts the count anew. With the defaults, a backend that hangs is lost
    /// 20 s after the first probe that it did not answer.
    ///
    /// If this process itself stood still, the probe is not blamed: by a SIGSTOP, a paused machine, or a handler that
    /// blocks the thread. When a timer fires late by more than an eighth of the timeout and more than 20 ms, the timeout
    /// of the probe starts again, up to three times, so that a probe may take four timeouts and the pauses. Advancing
    /// tokio's paused clock does not count.
    ///
    /// The probe is polled in the task that polls this future. A panic in the probe, in its error's `Display`, or when
    /// either is dropped is a failure. At most 16 causes of an error are logged. The probe must not block its thread: nothing can take that back. Failures are logged at `warn` with the target `tower_drain::agent`, and the
    /// success that ends a row of them at `info`.
    ///
    /// # Whom it stops
    ///
    /// Every replica that watches the same backend stops at the same moment when that backend is gone: an outage of one
    /// dependency becomes an outage of all that need it, and a restarted replica that cannot reach it stops again. A
    /// watchdog is for work that is worth nothing without its backend, such as a workflow that holds resources for it.
    /// A service that can still answer, and be it with an error, should say so in its readiness instead, and live.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the probe that is on. One that is made anew counts from nothing.
    #[must_use = "futures do nothing unless polled"]
    pub struct Watchdog<P, T> {
        probe: P,
        ticks: Ticks,
        timeout: Duration,
        threshold: u32,
        failures: u32,
        patience: Option<Patience>,
        #[pin]
        probing: Option<Caught<T>>,
    }
}

impl<P, T> Watchdog<P, T>
where
    P: FnMut() -> T,
    T: Future<Output = Result<(), BoxError>>,
{
    /// Probes every 15 s, waits 5 s for an answer, and gives up after 2 failures in a row.
    ///
    /// It is `Send + 'static`, as a trigger has to be, where `probe` and its future are.
    pub fn new(probe: P) -> Self {
        Self {
            probe,
            ticks: Ticks::new(Duration::from_secs(15)),
            timeout: Duration::from_secs(5),
            threshold: 2,
            failures: 0,
            patience: None,
            probing: None,
        }
    }

    /// The same with `HEALTHCHECK_INTERVAL_SECONDS`, `HEALTHCHECK_TIMEOUT_SECONDS` (fractions allowed) and
    /// `HEALTHCHECK_FAILURE_THRESHOLD` from the environment; the defaults for what is not set. An empty
    /// variable counts as not set, and is logged as a warning with the target `tower_drain`.
    ///
    /// # Errors
    ///
    /// If a value is not a number above 0.
    pub fn from_env(probe: P) -> Result<Self, ConfigError> {
        Self::from_lookup(probe, &environment)
    }

    fn from_lookup(probe: P, lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let default = Self::new(probe);
        Ok(Self {
            ticks: period(lookup, EVERY)?.map_or(default.ticks, Ticks::new),
            timeout: period(lookup, TIMEOUT)?.unwrap_or(default.timeout),
            threshold: count(lookup, THRESHOLD)?.unwrap_or(default.threshold),
            ..default
        })
    }

    /// From the start of one probe to the start of the next. 15 s.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn every(self, every: Duration) -> Self {
        assert!(!every.is_zero(), "a watchdog's interval must be above 0 s");
        Self {
            ticks: Ticks::new(every),
            ..self
        }
    }

    /// How long a probe may take. 5 s; `Duration::MAX` is no limit.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn timeout(self, timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "a watchdog's timeout must be above 0 s");
        Self { timeout, ..self }
    }

    /// How many probes have to fail in a row. 2.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn threshold(self, threshold: u32) -> Self {
        assert!(threshold > 0, "a watchdog's threshold must be above 0");
        Self { threshold, ..self }
    }
}

impl<P, T> Watchdog<P, T>
where
    P: FnMut() -> T,
    T: Future<Output = Result<(), BoxError>>,
{
    /// How the probe that is on ended, or the next one, once its time has come.
    fn poll_probe(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut this = self.as_mut().project();
        if this.probing.is_none() {
            ready!(this.ticks.poll(cx));
            match Caught::new(this.probe) {
                Ok(probing) => this.probing.set(Some(probing)),
                Err(panic) => return Poll::Ready(Err(panic)),
            }
        }
        let patience = this
            .patience
            .get_or_insert_with(|| Patience::new(*this.timeout));
        let polled = this.probing.as_mut().as_pin_mut().map(|on| on.poll(cx));
        let ended = match polled {
            Some(Poll::Ready(ended)) => ended.and_then(|answer| answer.map_err(words::of_last)),
            _ => {
                ready!(patience.poll(cx));
                let timeout = this.timeout.as_secs_f64();
                Err(format!("no answer within {timeout} s"))
            }
        };
        *this.patience = None;
        Poll::Ready(ended.and(Caught::clear(this.probing)))
    }
}

impl<P, T> Future for Watchdog<P, T>
where
    P: FnMut() -> T,
    T: Future<Output = Result<(), BoxError>>,
{
    type Output = DrainReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DrainReason> {
        loop {
            let ended = ready!(self.as_mut().poll_probe(cx));
            let this = self.as_mut().project();
            let (failures, threshold) = (this.failures, *this.threshold);
            match ended {
                Ok(()) if *failures == 0 => {}
                Ok(()) => {
                    lines::write(|| {
                        tracing::info!(
                            target: "tower_drain::agent",
                            failures,
                            "watchdog: the probe succeeds again"
                        );
                    });
                    *failures = 0;
                }
                Err(last_error) => {
                    *failures += 1;
                    lines::write(|| {
                        tracing::warn!(
                            target: "tower_drain::agent",
                            failures,
                            threshold,
                            error = last_error,
                            "watchdog: the probe failed"
                        );
                    });
                    if *failures >= threshold {
                        let failures = std::mem::take(failures);
                        return Poll::Ready(DrainReason::ConnectivityLost {
                            failures,
                            last_error,
                        });
                    }
                }
            }
        }
    }
}

impl<P, T> fmt::Debug for Watchdog<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("every", &self.ticks.every())
            .field("timeout", &self.timeout)
            .field("threshold", &self.threshold)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::ffi::OsString;

    use super::*;

    fn parse(variables: &[(&'static str, &str)]) -> Result<(Duration, Duration, u32), ConfigError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let lookup = |name| variables.get(name).map(OsString::from);
        let watchdog = Watchdog::from_lookup(|| async { Ok(()) }, &lookup)?;
        Ok((watchdog.ticks.every(), watchdog.timeout, watchdog.threshold))
    }

    #[test]
    fn without_variables_the_defaults_stand() {
        let defaults = (Duration::from_secs(15), Duration::from_secs(5), 2);
        assert_eq!(parse(&[]).unwrap(), defaults);
        let new = Watchdog::new(|| async { Ok(()) });
        assert_eq!((new.ticks.every(), new.timeout, new.threshold), defaults);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let unset = parse(&[]).unwrap();
        let empty = parse(&[(EVERY, ""), (TIMEOUT, ""), (THRESHOLD, "")]);
        assert_eq!(empty.unwrap(), unset);
    }

    #[test]
    fn every_variable_sets_its_own() {
        let set = parse(&[(EVERY, "0.5"), (TIMEOUT, "2"), (THRESHOLD, "7")]).unwrap();
        let expected = (Duration::from_millis(500), Duration::from_secs(2), 7);
        assert_eq!(set, expected);
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_variable_value_and_the_way_out() {
        for name in [EVERY, TIMEOUT] {
            for value in [" ", "0", "0.0", "-1", "5s", "1e2", "inf", "31536000.1"] {
                let error = parse(&[(name, value)]).expect_err(value).to_string();
                assert_eq!(
                    error,
                    format!(
                        "{name}={value:?} is not a number of seconds above 0, up to 31536000, such as 2.5"
                    )
                );
            }
        }
        for value in [" ", "0", "-1", "+1", "1.5", "two", "4294967296", " 2"] {
            let error = parse(&[(THRESHOLD, value)]).expect_err(value).to_string();
            assert_eq!(
                error,
                format!("{THRESHOLD}={value:?} is not a whole number from 1 to 4294967295")
            );
        }
    }
}
