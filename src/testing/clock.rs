//! The paused clock: what makes "nothing happens any more" a thing that can be waited for.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::race::{over, race, Either};

/// Lets every task run until none can. A paused clock moves only then.
pub(super) async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// `None` if `future` is not ready after `limit`.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match race(future, over(limit)).await {
        Either::First(output) => Some(output),
        Either::Second(()) => None,
    }
}

#[track_caller]
pub(super) fn assert_paused() {
    let before = tokio::time::Instant::now();
    let start = Instant::now();
    while start.elapsed().is_zero() {}
    assert!(
        tokio::time::Instant::now() == before,
        "the clock runs: make the `DrainTest` in a `#[tokio::test(start_paused = true)]`, which needs tokio's feature \
         `test-util`"
    );
}
