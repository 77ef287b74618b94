//! A waker that panics costs no other its wake-up, and the phase is what was begun.

use std::future::{pending, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio_test::task::{spawn, Spawn};
use tower_drain::{DrainHandle, Phase};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

type Waits = Pin<Box<dyn Future<Output = ()>>>;

/// Futures that wait with good wakers, each behind one that waits for the same with a waker that panics.
struct Waiting {
    good: Vec<Spawn<Waits>>,
    _bad: Vec<Waits>,
}

impl Waiting {
    fn new(wait: impl Fn() -> Waits) -> Self {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let panics = Waker::from(Arc::new(Panics));
        // More than are woken in one go.
        for _ in 0..100 {
            let mut waits = wait();
            let poll = waits.as_mut().poll(&mut Context::from_waker(&panics));
            assert!(poll.is_pending());
            bad.push(waits);
            let mut waits = spawn(wait());
            assert!(waits.poll().is_pending());
            good.push(waits);
        }
        Self { good, _bad: bad }
    }

    #[track_caller]
    fn are_woken(mut self) {
        for waits in &mut self.good {
            assert!(waits.is_woken());
            assert!(waits.poll().is_ready());
        }
    }
}

#[test]
fn a_begin_is_complete_and_told_to_all() {
    let handle = DrainHandle::new();
    let leaving = Waiting::new(|| Box::pin(handle.leaving()));
    let draining = Waiting::new(|| Box::pin(handle.draining()));
    let drained = Waiting::new(|| {
        let drained = handle.wait_for_drain(Duration::MAX);
        Box::pin(async { drop(drained.await) })
    });
    assert!(handle.begin_shutdown());
    assert_eq!(handle.phase(), Phase::Drained);
    leaving.are_woken();
    draining.are_woken();
    drained.are_woken();
}

#[test]
fn a_resume_is_complete_and_told_to_all() {
    let handle = DrainHandle::new();
    let nonce = handle.begin_lame_duck_because("test".into()).unwrap();
    let changed = Waiting::new(|| {
        let changed = handle.changed();
        Box::pin(async { assert_eq!(changed.await, Phase::Serving) })
    });
    assert_eq!(handle.resume(nonce), Ok(()));
    assert_eq!(handle.phase(), Phase::Serving);
    changed.are_woken();
}

#[test]
fn a_cut_is_complete_and_told_to_all() {
    let handle = DrainHandle::new();
    let tracked = Waiting::new(|| {
        let tracked = handle.track(pending::<()>()).unwrap();
        Box::pin(async { assert_eq!(tracked.await, None) })
    });
    assert_eq!(handle.cut(), 200);
    tracked.are_woken();
}

/// The last release may be a drop in a panic that goes on, where a second one would end the process.
#[test]
fn the_last_release_is_told_to_all_also_while_something_panics() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let drained = Waiting::new(|| {
        let drained = handle.wait_for_drain(Duration::MAX);
        Box::pin(async { drop(drained.await) })
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _guard = guard;
        panic!("in a handler");
    }));
    assert!(panicked.is_err());
    assert_eq!(handle.phase(), Phase::Drained);
    drained.are_woken();
}

#[cfg(feature = "shutdown")]
#[test]
fn a_socket_that_closes_and_an_exit_are_told_to_all() {
    let handle = DrainHandle::new();
    let closed = Waiting::new(|| Box::pin(handle.accept_closed()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(shutdown(handle));
    closed.are_woken();
}

#[cfg(feature = "shutdown")]
async fn shutdown(handle: DrainHandle) {
    let shutdown = tower_drain::Shutdown::new(handle.clone());
    handle.request_exit(tower_drain::DrainReason::Requested);
    let server = |stop: tower_drain::Stop| async {
        stop.await;
        Ok::<_, tower_drain::BoxError>(())
    };
    drop(shutdown.run(server).await);
}
