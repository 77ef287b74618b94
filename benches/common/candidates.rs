//! Everything that is measured side by side, as loops over requests.

use http::Response;
use http_body_util::Full;
use tokio_util::task::TaskTracker;
use tower::Layer;
use tower_drain::{DrainHandle, DrainLayer, DrainReason, RequestHead};
use tower_http::metrics::InFlightRequestsLayer;

use super::peers::{ByHand, Counted};
use super::turn::{turns, Hello};

/// A prototype service, and a loop of so many requests over clones of it.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    run: Box<dyn Fn(u64) + Send + Sync>,
}

impl Candidate {
    pub(crate) fn new(name: &'static str, run: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let run = Box::new(run);
        Self { name, run }
    }

    pub(crate) fn run(&self, requests: u64) {
        (self.run)(requests);
    }
}

pub(crate) const BARE: &str = "bare";
pub(crate) const DRAIN: &str = "tower-drain";
pub(crate) const IN_FLIGHT: &str = "tower-http in-flight";
pub(crate) const CONFIGURED: &str = "tower-drain, exempt and rejection set";
pub(crate) const RESUMED: &str = "tower-drain, after a resume";
pub(crate) const REJECTING: &str = "tower-drain, rejecting";
pub(crate) const REJECTING_CONFIGURED: &str = "tower-drain, own rejection";

pub(crate) fn serving() -> Vec<Candidate> {
    vec![
        bare(),
        drain(),
        configured(CONFIGURED, false),
        drain_resumed(),
        in_flight(),
        Candidate::new("tokio-util TaskTracker token", {
            let service = Counted {
                counter: TaskTracker::new(),
                inner: Hello,
            };
            move |requests| turns(&service, requests)
        }),
        Candidate::new("Arc<AtomicUsize> by hand", {
            let service = Counted {
                counter: ByHand::default(),
                inner: Hello,
            };
            move |requests| turns(&service, requests)
        }),
        Candidate::new("linkerd drain Retain", {
            let (signal, watch) = drain::channel();
            let service = drain::Retain::<Hello>::layer(watch).layer(Hello);
            move |requests| {
                turns(&service, requests);
                let _until_the_last_run = &signal;
            }
        }),
    ]
}

pub(crate) fn rejecting() -> Vec<Candidate> {
    vec![drain_rejecting(), configured(REJECTING_CONFIGURED, true)]
}

pub(crate) fn bare() -> Candidate {
    Candidate::new(BARE, |requests| turns(&Hello, requests))
}

pub(crate) fn in_flight() -> Candidate {
    let (layer, _) = InFlightRequestsLayer::pair();
    let service = layer.layer(Hello);
    Candidate::new(IN_FLIGHT, move |requests| turns(&service, requests))
}

pub(crate) fn drain() -> Candidate {
    drain_of(DRAIN, &DrainHandle::new())
}

/// After a drain that came to its end and was taken back.
pub(crate) fn drain_resumed() -> Candidate {
    let handle = DrainHandle::new();
    let drain = handle.begin_shutdown_because(DrainReason::Requested);
    let resumed = drain.map(|nonce| handle.resume(nonce));
    assert!(matches!(resumed, Some(Ok(()))));
    drain_of(RESUMED, &handle)
}

pub(crate) fn drain_rejecting() -> Candidate {
    let handle = DrainHandle::new();
    handle.begin_shutdown();
    drain_of(REJECTING, &handle)
}

pub(crate) fn drain_of(name: &'static str, handle: &DrainHandle) -> Candidate {
    let service = DrainLayer::from_handle(handle.clone()).layer(Hello);
    Candidate::new(name, move |requests| turns(&service, requests))
}

pub(crate) fn configured(name: &'static str, rejecting: bool) -> Candidate {
    let layer = DrainLayer::new()
        .exempt(|head: &RequestHead<'_>| head.uri().path() == "/livez")
        .rejection(|_: &RequestHead<'_>| Response::new(Full::from("later")));
    if rejecting {
        layer.handle().begin_shutdown();
    }
    let service = layer.layer(Hello);
    Candidate::new(name, move |requests| turns(&service, requests))
}
