//! Time per request with several threads on one prototype service.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::candidates::Candidate;

/// How long `threads` take for `requests` each, from the start of the first to the end of the last: those that the
/// machine runs one after the other must not look as if they had run side by side.
pub(crate) fn elapsed(candidate: &Candidate, threads: usize, requests: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let start = Instant::now();
        candidate.run(requests);
        (start, Instant::now())
    };
    // One thread is spawned too: an allocator treats a process with one thread, and its main thread, better.
    let times: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let times = runs.into_iter().map(|run| run.join().expect("no panic"));
        times.collect()
    });
    let start = times.iter().map(|times| times.0).min();
    let end = times.iter().map(|times| times.1).max();
    end.zip(start)
        .map(|(end, start)| end - start)
        .unwrap_or_default()
}

/// The best time per request in nanoseconds, of each candidate with each number of threads, over rounds in which they
/// take turns.
pub(crate) fn best(
    candidates: &[Candidate],
    threads: &[usize],
    rounds: usize,
    requests: u64,
) -> Vec<Vec<f64>> {
    let mut best = vec![vec![f64::INFINITY; threads.len()]; candidates.len()];
    for _ in 0..rounds {
        for (column, &threads) in threads.iter().enumerate() {
            for (row, candidate) in candidates.iter().enumerate() {
                let time = elapsed(candidate, threads, requests).as_nanos() as f64;
                let time = time / requests as f64;
                best[row][column] = best[row][column].min(time);
            }
        }
    }
    best
}
