//! What a server observes of the load balancer in front of it: whether that was told of the stop.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the server saw of the front during the lame duck, in [`ShutdownReport`](crate::ShutdownReport::front).
///
/// A front that was told opens no connection in the last second of the lame duck. One that was not told goes on, and its
/// users see refused connections once the socket is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrontReport {
    /// How often readiness has answered 503 in the whole lame duck. `None` if `DrainHandle::readiness` was never called, so
    /// that something else answers for it, or nothing does.
    pub readiness_asked: Option<u64>,
    /// How many connections came in the last second of the lame duck, less one for each probe in it. `None` from a server
    /// that does not count them: [`serve`](crate::Shutdown::serve) does.
    pub late_connections: Option<u64>,
    /// How many requests came in that second, without those that the handle's services for liveness, readiness and status
    /// answered. `None` as above.
    pub late_requests: Option<u64>,
}

impl FrontReport {
    /// Returns `true` if new connections still came. Requests on open connections of HTTP/2 are no sign of a front that was
    /// not told: they go on until the GOAWAY.
    pub fn still_sends(&self) -> bool {
        self.late_connections.unwrap_or(0) > 0
    }
}

impl fmt::Display for FrontReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure: Option<u64>| figure.map_or("?".into(), |figure| figure.to_string());
        write!(
            f,
            "readiness asked {} times, {} connections and {} requests in the last second",
            figure(self.readiness_asked),
            figure(self.late_connections),
            figure(self.late_requests),
        )
    }
}

/// In the extensions of a response to a probe.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "admin"), allow(dead_code))]
pub(crate) struct Probe;

impl Probe {
    #[cfg(feature = "server")]
    pub(crate) fn is_in<B>(response: &http::Response<B>) -> bool {
        response.extensions().get::<Self>().is_some()
    }
}

/// A count that stays unknown until something counts.
#[derive(Debug, Default)]
struct Count {
    is_known: AtomicBool,
    count: AtomicU64,
}

/// Relaxed throughout: the figures are for people, and guard nothing.
impl Count {
    fn begins(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> Option<u64> {
        let is_known = self.is_known.load(Ordering::Relaxed);
        is_known.then(|| self.count.load(Ordering::Relaxed))
    }
}

/// What the servers and probes of a handle count. Nothing counts while it serves.
#[derive(Debug, Default)]
pub(crate) struct Front {
    readiness: Count,
    connections: Count,
    requests: Count,
    /// Of those requests, the ones for liveness, readiness and status.
    probes: Count,
    /// The last second of the lame duck.
    is_late: AtomicBool,
    report: Mutex<Option<FrontReport>>,
}

#[cfg_attr(not(all(feature = "admin", feature = "server")), allow(dead_code))]
impl Front {
    pub(crate) fn has_readiness(&self) {
        self.readiness.begins();
    }

    /// Readiness has answered 503.
    pub(crate) fn was_asked(&self) {
        self.readiness.add();
    }

    /// A request of the last second was one for liveness, readiness or status.
    pub(crate) fn probed(&self) {
        self.probes.add();
    }

    /// A server counts its connections and requests.
    pub(crate) fn counts(&self) {
        self.connections.begins();
        self.requests.begins();
    }

    pub(crate) fn connected(&self) {
        if self.is_late() {
            self.connections.add();
        }
    }

    /// Returns whether the request came in the last second.
    pub(crate) fn requested(&self) -> bool {
        let is_late = self.is_late();
        if is_late {
            self.requests.add();
        }
        is_late
    }

    fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// The lame duck has begun. What was counted in an earlier drain is not of this one.
    pub(crate) fn begins(&self) {
        for count in [
            &self.readiness,
            &self.connections,
            &self.requests,
            &self.probes,
        ] {
            count.count.store(0, Ordering::Relaxed);
        }
    }

    /// The last second has begun.
    pub(crate) fn watch(&self) {
        self.is_late.store(true, Ordering::Relaxed);
    }

    /// The last second is over. Returns what was seen, or `None` if nothing is being counted.
    pub(crate) fn conclude(&self) -> Option<FrontReport> {
        self.is_late.store(false, Ordering::Relaxed);
        let probes = self.probes.count.load(Ordering::Relaxed);
        let without_probes = |count: u64| count.saturating_sub(probes);
        let report = FrontReport {
            readiness_asked: self.readiness.get(),
            late_connections: self.connections.get().map(without_probes),
            late_requests: self.requests.get().map(without_probes),
        };
        let report = Some(report).filter(|report| *report != FrontReport::default());
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        report
    }

    /// Returns what was seen, once the lame duck of a shutdown is over.
    #[cfg(feature = "metrics")]
    pub(crate) fn report(&self) -> Option<FrontReport> {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
