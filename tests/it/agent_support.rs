//! Calls that are written down: when each began, and how many were on at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[derive(Clone)]
pub(crate) struct Calls(Arc<Mutex<Kept>>);

struct Kept {
    start: Instant,
    began: Vec<f64>,
    on: usize,
    most: usize,
}

/// One call, until it is dropped.
pub(crate) struct Call(Calls);

impl Calls {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Kept {
            start: Instant::now(),
            began: Vec::new(),
            on: 0,
            most: 0,
        })))
    }

    /// Returns how many began before it, too.
    pub(crate) fn begin(&self) -> (usize, Call) {
        let mut kept = self.0.lock().unwrap();
        let before = kept.began.len();
        // The timers have a resolution of a millisecond.
        let at = (kept.start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        kept.began.push(at);
        kept.on += 1;
        kept.most = kept.most.max(kept.on);
        (before, Call(self.clone()))
    }

    /// In seconds, to a tenth.
    pub(crate) fn began(&self) -> Vec<f64> {
        self.0.lock().unwrap().began.clone()
    }

    pub(crate) fn on(&self) -> usize {
        self.0.lock().unwrap().on
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.0.lock().unwrap().most
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0 .0.lock().unwrap().on -= 1;
    }
}
