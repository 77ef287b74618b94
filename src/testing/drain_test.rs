use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::watch;
use tower_service::Service;

use super::clock::{assert_paused, idle, within};
use super::exchange::exchange;
use super::{OpenRequest, Running};
use crate::{BoxError, DrainHandle, Phase, Shutdown};

/// A service whose shutdown is tested: without sockets, signals and time that passes. See the [module](super) for
/// examples.
///
/// It takes the place of a server. Requests get through also when a real server would have closed its socket, as they do
/// on connections that are open already.
pub struct DrainTest<S> {
    service: S,
    handle: DrainHandle,
    limit: Duration,
    open: watch::Sender<usize>,
}

impl<S> DrainTest<S> {
    /// Tests `service`, whose layer has this `handle`.
    ///
    /// `service` takes bodies of the type `Full<Bytes>`, as a `Router` of axum does, and most services that are generic.
    /// Others do behind `tower::util::MapRequest`.
    ///
    /// # Panics
    ///
    /// If the clock runs: the test has to be a `#[tokio::test(start_paused = true)]`.
    #[track_caller]
    pub fn new(service: S, handle: DrainHandle) -> Self {
        assert_paused();
        Self {
            service,
            handle,
            limit: Duration::from_secs(60 * 60),
            open: watch::Sender::new(0),
        }
    }

    /// How much of the paused clock may pass in one wait, of this and of all that it opens from here on, until it counts
    /// as waiting for ever, and panics. 1 h by default; `Duration::MAX` is no limit.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The handle that it was made with.
    pub fn handle(&self) -> &DrainHandle {
        &self.handle
    }

    /// Waits until this phase is reached or passed.
    ///
    /// # Panics
    ///
    /// If it is not reached within the [limit](Self::limit).
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again.
    #[track_caller]
    pub fn until(&self, phase: Phase) -> impl Future<Output = ()> + '_ {
        let caller = Location::caller();
        async move {
            let reached = async {
                loop {
                    let changed = self.handle.changed();
                    if self.handle.phase() >= phase {
                        break;
                    }
                    changed.await;
                }
            };
            if within(self.limit, reached).await.is_none() {
                let (is, limit) = (self.handle.phase(), self.limit.as_secs_f64());
                panic!("{caller}: the phase is {is:?} after {limit} s more; expected {phase:?}");
            }
            idle().await;
        }
    }

    /// Runs `shutdown` with a server in which are the requests that this opens: once it is told to stop, it returns when
    /// they have ended. Nothing begins it but its own triggers, or
    /// [`request_exit`](DrainHandle::request_exit) on the handle.
    ///
    /// Takes 1 ms of the paused clock. `Shutdown::new` catches SIGTERM and SIGINT in the process of the test, as ever.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: once it was polled the shutdown runs, and its report is lost with the future.
    pub async fn run(&self, shutdown: Shutdown) -> Running {
        let mut open = self.open.subscribe();
        let running = shutdown.run(move |stop| async move {
            stop.await;
            // An error is that of a test that is gone, and all its requests.
            drop(open.wait_for(|open| *open == 0).await);
            Ok::<_, BoxError>(())
        });
        let running = Running::new(self.handle.clone(), self.limit, tokio::spawn(running));
        idle().await;
        running
    }

    /// [Runs](Self::run) `shutdown` and begins it, as a signal does. Unless it has none, the lame duck is on when this
    /// returns.
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn begin(&self, shutdown: Shutdown) -> Running {
        self.handle.request_exit("a test");
        self.run(shutdown).await
    }
}

impl<S, B> DrainTest<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends `GET path` and lets everything run that can, which takes 1 ms of the paused clock: a handler that waits for
    /// nothing has answered when this returns.
    ///
    /// # Panics
    ///
    /// If `path` is not the path of a URI, with or without a query.
    ///
    /// # Cancel safety
    ///
    /// Dropping it is a client that hangs up, if it was polled.
    #[track_caller]
    pub fn open<'a>(&'a self, path: &str) -> impl Future<Output = OpenRequest> + 'a {
        self.send(get(path))
    }

    /// [`open`](Self::open) for every other request, such as a POST with `Request::post(path).body("text".into())`. An
    /// HTTP/2 request, such as one of gRPC, says so by its version.
    ///
    /// # Cancel safety
    ///
    /// As `open`.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> OpenRequest {
        let name = format!("{} {}", request.method(), request.uri().path());
        let (service, handle) = (self.service.clone(), self.handle.clone());
        let (task, seen) = exchange(service, request, handle, &self.open);
        let open = OpenRequest::new(name, seen, self.limit, tokio::spawn(task));
        idle().await;
        open
    }

    /// Sends `GET path` and hangs up.
    ///
    /// # Panics
    ///
    /// If the layer does not reject it, or [`open`](Self::open) panics.
    #[track_caller]
    pub fn assert_rejects<'a>(&'a self, path: &str) -> impl Future<Output = ()> + 'a {
        self.assert_rejection(path, true)
    }

    /// Sends `GET path` and hangs up.
    ///
    /// # Panics
    ///
    /// If the layer rejects it, or [`open`](Self::open) panics. What it is served with is not looked at.
    #[track_caller]
    pub fn assert_serves<'a>(&'a self, path: &str) -> impl Future<Output = ()> + 'a {
        self.assert_rejection(path, false)
    }

    #[track_caller]
    fn assert_rejection<'a>(&'a self, path: &str, expected: bool) -> impl Future<Output = ()> + 'a {
        let caller = Location::caller();
        let opened = self.open(path);
        async move {
            let opened = opened.await;
            let words = match expected {
                true => "it to be rejected",
                false => "it to be served",
            };
            let is_as_expected = opened.is_rejected() == expected;
            assert!(is_as_expected, "{caller}: {opened}; expected {words}");
        }
    }
}

#[track_caller]
fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(path).body(Full::default());
    request.unwrap_or_else(|error| panic!("{path:?} is not the path of a URI: {error}"))
}

impl<S> fmt::Debug for DrainTest<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainTest")
            .field("handle", &self.handle)
            .field("open", &*self.open.borrow())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
