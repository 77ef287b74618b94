//! Threads against each other, for a bounded number of turns and without a sleep.

use std::sync::Barrier;

use tower_drain::{DrainHandle, Phase};

/// A cut request that is released leaves the count and the list of those already cut in two steps; another cut may
/// come between them.
#[test]
fn cuts_beside_releases_count_each_future_once() {
    const TURNS: usize = 20_000;
    let handle = DrainHandle::new();
    let start = Barrier::new(3);
    let ended = std::thread::scope(|scope| {
        let track = || {
            start.wait();
            for _ in 0..TURNS {
                let held = [(); 8].map(|()| handle.track(std::future::pending::<()>()).unwrap());
                drop(held);
            }
        };
        let tracking = [scope.spawn(track), scope.spawn(track)];
        start.wait();
        let mut ended = 0;
        while !tracking.iter().all(|thread| thread.is_finished()) {
            ended += handle.cut();
        }
        ended
    });
    assert!(ended <= 16 * TURNS, "{ended} cut of {}", 16 * TURNS);
    assert_eq!((handle.cut(), handle.in_flight()), (0, 0));
    assert_eq!(handle.phase(), Phase::Serving);
}
