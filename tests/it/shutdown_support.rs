//! A clock that is written down, and work that takes a known time.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower_drain::{BoxError, DrainHandle, DrainReason, Stop, Timeouts};

pub(crate) fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What happened, and when.
#[derive(Clone)]
pub(crate) struct Timeline {
    start: Instant,
    marks: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            marks: Arc::default(),
        }
    }

    pub(crate) fn mark(&self, what: impl Into<String>) {
        let at = self.start.elapsed();
        self.marks.lock().unwrap().push((what.into(), at));
    }

    /// Marks in a task of its own when `future` resolves.
    pub(crate) fn watch(
        &self,
        what: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let timeline = self.clone();
        tokio::spawn(async move {
            future.await;
            timeline.mark(what);
        });
    }

    /// Marks every stage that the handle shows.
    pub(crate) fn watch_handle(&self, handle: &DrainHandle) {
        self.watch("lame duck", handle.leaving());
        self.watch("accept closed", handle.accept_closed());
        self.watch("reject", handle.draining());
    }

    #[track_caller]
    pub(crate) fn at(&self, what: &str) -> Duration {
        let marks = self.marks.lock().unwrap();
        match marks.iter().find(|(mark, _)| mark == what) {
            Some((_, at)) => *at,
            None => panic!("no {what:?} in {marks:?}"),
        }
    }

    /// The timers have a resolution of a millisecond, and every step may lose one.
    #[track_caller]
    pub(crate) fn assert(&self, expected: &[(&str, f64)]) {
        for (what, at) in expected {
            assert_near(what, self.at(what), *at);
        }
    }

    #[track_caller]
    pub(crate) fn assert_now(&self, expected: f64) {
        assert_near("now", self.start.elapsed(), expected);
    }
}

#[track_caller]
pub(crate) fn assert_near(what: &str, is: Duration, expected: f64) {
    let off = (is.as_secs_f64() - expected).abs();
    assert!(off < 0.02, "{what} at {is:?}, expected {expected} s");
}

/// A trigger after so many seconds.
pub(crate) async fn after(seconds: f64) -> DrainReason {
    tokio::time::sleep(s(seconds)).await;
    DrainReason::Other("test".into())
}

/// Defaults, with a drain that is quick to reach.
pub(crate) fn timeouts() -> Timeouts {
    Timeouts::default().drain(s(60.0))
}

/// A request that takes so long; it can be cut.
pub(crate) fn work(handle: &DrainHandle, seconds: f64) {
    let work = handle.track(tokio::time::sleep(s(seconds))).unwrap();
    tokio::spawn(work);
}

/// A server that returns when it was told to stop and nothing is in flight.
pub(crate) async fn server(
    stop: Stop,
    handle: DrainHandle,
    timeline: Timeline,
) -> Result<(), BoxError> {
    stop.await;
    timeline.mark("stop");
    handle.wait_for_drain(Duration::MAX).await?;
    timeline.mark("server returned");
    Ok(())
}
