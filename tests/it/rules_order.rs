//! Rule 10: readiness never says 200 when a request is rejected.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Barrier;
use std::task::Poll;

use tokio_test::task::spawn;
use tower::{Layer, Service};
use tower_drain::{DrainLayer, Phase};

use crate::support::{answer, get, poll_ready, Handlers};

/// Whoever is rejected and looks at the phase afterwards finds that it has left serving.

#[test]
fn the_phase_is_not_serving_when_a_request_is_rejected() {
    const DRAINS: usize = 300;
    for _ in 0..DRAINS {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut service = layer.layer(Handlers::default());
                    start.wait();
                    loop {
                        assert!(poll_ready(&mut service).is_ready());
                        let mut opened = spawn(service.call(get("/")));
                        // Pending is served: its handler waits.
                        if opened.poll().is_ready() {
                            assert_ne!(handle.phase(), Phase::Serving);
                            break;
                        }
                    }
                });
            }
            start.wait();
            assert!(handle.begin_shutdown());
        });
    }
}

#[test]
fn whoever_sees_draining_is_rejected() {
    for _ in 0..300 {
        let layer = DrainLayer::new();
        let handle = layer.handle();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut service = layer.layer(Handlers::default());
                start.wait();
                while !handle.is_draining() {
                    std::hint::spin_loop();
                }
                assert_eq!(poll_ready(&mut service), Poll::Ready(Ok(())));
                let response = answer(&mut spawn(service.call(get("/"))));
                assert_eq!(response.status(), 503);
                assert!(handle.try_guard().is_err());
            });
            start.wait();
            handle.begin_shutdown();
        });
    }
}

/// Phases only go up while nobody resumes: an observer sees no step back.
#[test]
fn an_observer_sees_the_phases_in_their_order() {
    for _ in 0..300 {
        let handle = DrainLayer::new().handle();
        let guard = handle.try_guard().unwrap();
        let (start, done) = (Barrier::new(2), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let mut last = Phase::Serving;
                while !done.load(SeqCst) {
                    let now = handle.phase();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
            start.wait();
            handle.begin_shutdown();
            drop(guard);
            done.store(true, SeqCst);
        });
        assert_eq!(handle.phase(), Phase::Drained);
    }
}

#[test]
fn a_begin_from_serving_passes_the_lame_duck() {
    let handle = DrainLayer::new().handle();
    let (mut leaving, mut draining) = (spawn(handle.leaving()), spawn(handle.draining()));
    assert!(leaving.poll().is_pending() && draining.poll().is_pending());
    handle.begin_shutdown();
    assert!(leaving.is_woken() && draining.is_woken());
    assert!(leaving.poll().is_ready() && draining.poll().is_ready());
}
