use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::{
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, Unit,
};
use tokio::time::Sleep;

use crate::{Changed, DrainHandle, DrainNonce, Phase, WaitForDrain};

const IN_FLIGHT: &str = "tower_drain_in_flight";
const REJECTED: &str = "tower_drain_rejected_total";
const PHASE: &str = "tower_drain_phase";
const DURATION: &str = "tower_drain_duration_seconds";
const CUT: &str = "tower_drain_cut_total";
#[cfg(feature = "shutdown")]
const READINESS_ASKED: &str = "tower_drain_readiness_asked";
#[cfg(feature = "shutdown")]
const LATE_CONNECTIONS: &str = "tower_drain_late_connections";
#[cfg(feature = "shutdown")]
const LATE_REQUESTS: &str = "tower_drain_late_requests";

const PHASES: [Phase; 4] = [
    Phase::Serving,
    Phase::LameDuck,
    Phase::Draining,
    Phase::Drained,
];

impl DrainHandle {
    /// Records how the drain stands with the facade crate [`metrics`], every `every` and at each change of the phase,
    /// for as long as the future is polled: spawn it once a handle, after the recorder is installed. Requests are never
    /// recorded one by one, so that they pay nothing for it.
    ///
    /// ```no_run
    /// # async fn example() {
    /// use std::time::Duration;
    /// use tower_drain::DrainLayer;
    ///
    /// let layer = DrainLayer::new();
    /// tokio::spawn(layer.handle().record_metrics(Duration::from_secs(5)));
    /// # }
    /// ```
    ///
    /// | metric | kind | what it is |
    /// |---|---|---|
    /// | `tower_drain_in_flight` | gauge | requests whose response body is not dropped yet, plus guards and tracked futures |
    /// | `tower_drain_rejected_total` | counter | requests rejected since the handle was made |
    /// | `tower_drain_phase{phase=".."}` | gauge | 1 for the phase that is on, 0 for the others: `serving`, `lame_duck`, `draining`, `drained` |
    /// | `tower_drain_duration_seconds` | histogram | of each drain that reached its end: from the begin of rejecting until nothing was in flight |
    /// | `tower_drain_cut_total` | counter | requests and tracked futures that were cut in drains that reached their end |
    /// | `tower_drain_readiness_asked`, `tower_drain_late_connections`, `tower_drain_late_requests` | gauges | what [`FrontReport`](crate::FrontReport) has, once the lame duck of a shutdown is over (feature `shutdown`) |
    ///
    /// The names follow the [conventions of Prometheus](https://prometheus.io/docs/practices/naming/). A label that tells
    /// several handles apart is added by the recorder, such as one of `metrics_util::layers`.
    ///
    /// The last values are recorded at the change to `drained`. For a scrape to see them, the endpoint has to live until
    /// then: serve it by `Shutdown::beside`.
    ///
    /// # Panics
    ///
    /// If `every` is zero; when it is polled outside a tokio runtime with time.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again. Of a drain that has ended before the second call, duration and cut are
    /// recorded again.
    #[track_caller]
    pub fn record_metrics(&self, every: Duration) -> RecordMetrics {
        assert!(
            !every.is_zero(),
            "the interval of metrics must be above 0 s"
        );
        RecordMetrics {
            changed: self.changed(),
            waiting: Some(self.wait_for_drain(Duration::MAX)),
            ended: None,
            handle: self.clone(),
            every,
            sleep: None,
        }
    }
}

/// The future of [`DrainHandle::record_metrics`]. It never ends.
#[must_use = "futures do nothing unless polled"]
pub struct RecordMetrics {
    handle: DrainHandle,
    every: Duration,
    changed: Changed,
    /// For the end of the drain that is on or comes next.
    waiting: Option<WaitForDrain>,
    /// The drain whose end was recorded.
    ended: Option<DrainNonce>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl RecordMetrics {
    fn record(&self) {
        let status = self.handle.status();
        gauge!(IN_FLIGHT).set(status.in_flight as f64);
        counter!(REJECTED).absolute(status.rejected);
        for phase in PHASES {
            let is_on = u8::from(phase == status.phase);
            gauge!(PHASE, "phase" => phase.as_str()).set(is_on);
        }
        #[cfg(feature = "shutdown")]
        if let Some(front) = self.handle.exit().front.report() {
            let set = |name: &'static str, figure: Option<u64>| {
                if let Some(figure) = figure {
                    gauge!(name).set(figure as f64);
                }
            };
            set(READINESS_ASKED, front.readiness_asked);
            set(LATE_CONNECTIONS, front.late_connections);
            set(LATE_REQUESTS, front.late_requests);
        }
    }

    /// Records each drain that has ended, once.
    fn poll_drains(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(waiting) = &mut self.waiting else {
                if self.ended.is_some() && self.ended == self.handle.nonce() {
                    return;
                }
                self.waiting = Some(self.handle.wait_for_drain(Duration::MAX));
                continue;
            };
            let Poll::Ready(ended) = Pin::new(waiting).poll(cx) else {
                return;
            };
            self.waiting = None;
            self.ended = None;
            if let Ok(report) = ended {
                histogram!(DURATION).record(report.waited);
                counter!(CUT).increment(report.cut as u64);
                self.ended = self.handle.nonce();
            }
        }
    }
}

impl Future for RecordMetrics {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let this = &mut *self;
        if this.sleep.is_none() {
            describe();
        }
        loop {
            this.poll_drains(cx);
            let has_changed = Pin::new(&mut this.changed).poll(cx).is_ready();
            if has_changed {
                this.changed = this.handle.changed();
            }
            let is_due = match &mut this.sleep {
                Some(sleep) => sleep.as_mut().poll(cx).is_ready(),
                None => true,
            };
            if is_due {
                this.sleep = Some(Box::pin(tokio::time::sleep(this.every)));
            }
            if !has_changed && !is_due {
                return Poll::Pending;
            }
            this.record();
        }
    }
}

impl fmt::Debug for RecordMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordMetrics")
            .field("handle", &self.handle)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

fn describe() {
    let count = Unit::Count;
    describe_gauge!(IN_FLIGHT, count, "Requests and guards that hold the drain.");
    describe_counter!(REJECTED, count, "Requests rejected while draining.");
    describe_gauge!(
        PHASE,
        count,
        "1 for the phase that is on, 0 for the others."
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From the begin of rejecting until nothing was in flight."
    );
    describe_counter!(CUT, count, "Requests and tracked futures that were cut.");
    #[cfg(feature = "shutdown")]
    {
        let last = "the last second of the lame duck";
        describe_gauge!(
            READINESS_ASKED,
            count,
            "How often readiness was asked since it answers 503."
        );
        describe_gauge!(
            LATE_CONNECTIONS,
            count,
            format!("Connections that came in {last}.")
        );
        describe_gauge!(
            LATE_REQUESTS,
            count,
            format!("Requests that came in {last}.")
        );
    }
    // So that it is there, and zero, before the first drain has ended.
    counter!(CUT).increment(0);
}
