//! What the layer adds to a request, on one thread and on several that share it, against what others add.
//!
//! `cargo bench --bench contention`. Ratios within one run: the best of many rounds in which the candidates take turns,
//! less the best of the bare service with as many threads.

mod common;

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tower_drain::DrainHandle;

use common::candidates;
use common::report::{Report, Target};
use common::threads::best;

const THREADS: [usize; 3] = [1, 2, 4];

fn main() {
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut candidates = candidates::serving();
    candidates.extend(candidates::rejecting());
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
    let best = best(&candidates, &THREADS, 20, 50_000);
    let of = |name: &str| names.iter().position(|it| *it == name).expect("it ran");
    let (bare, drain, peer) = (
        of(candidates::BARE),
        of(candidates::DRAIN),
        of(candidates::IN_FLIGHT),
    );
    let added = |row: usize, column: usize| best[row][column] - best[bare][column];

    let mut report = Report::new("contention");
    let ratio = |name: &str, column| added(of(name), column) / added(peer, column);
    report.row(
        "added time, one thread, of in-flight's",
        ratio(candidates::DRAIN, 0),
        2,
        Target::AtMost(1.0, 1.35),
    );
    report.row(
        "added time, two threads, of in-flight's",
        ratio(candidates::DRAIN, 1),
        2,
        Target::AtMost(0.25, 0.35),
    );
    report.row(
        "added time, four threads, of in-flight's",
        ratio(candidates::DRAIN, 2),
        2,
        Target::None,
    );
    report.row(
        "added time, two threads over one",
        added(drain, 1) / added(drain, 0),
        2,
        Target::AtMost(1.2, 1.5),
    );
    let rejecting = of(candidates::REJECTING);
    report.row(
        "rejecting, whole time, two threads over one",
        best[rejecting][1] / best[rejecting][0],
        2,
        Target::AtMost(1.2, 1.5),
    );
    let configured = of(candidates::CONFIGURED);
    report.row(
        "exempt and rejection set: one thread, of in-flight's",
        ratio(candidates::CONFIGURED, 0),
        2,
        Target::AtMost(1.0, 1.35),
    );
    report.row(
        "exempt and rejection set: two threads, of in-flight's",
        ratio(candidates::CONFIGURED, 1),
        2,
        Target::AtMost(0.25, 0.35),
    );
    report.row(
        "exempt and rejection set: two threads over one",
        added(configured, 1) / added(configured, 0),
        2,
        Target::AtMost(1.2, 1.5),
    );
    report.row(
        "after a resume: one thread, of in-flight's",
        ratio(candidates::RESUMED, 0),
        2,
        Target::None,
    );
    report.row(
        "after a resume: two threads, of in-flight's",
        ratio(candidates::RESUMED, 1),
        2,
        Target::None,
    );
    let rejecting = of(candidates::REJECTING_CONFIGURED);
    report.row(
        "own rejection, whole time, two threads over one",
        best[rejecting][1] / best[rejecting][0],
        2,
        Target::AtMost(1.2, 1.5),
    );
    for (row, name) in names.iter().enumerate().filter(|it| it.0 != bare) {
        for (column, threads) in THREADS.iter().enumerate() {
            report.row(
                &format!("added, of bare: {name}, {threads} threads"),
                added(row, column) / best[bare][0],
                2,
                Target::None,
            );
        }
    }
    for threads in THREADS {
        let (begin, awake) = begin_in_the_middle(threads);
        report.row(
            &format!("begin_shutdown in the middle, {threads} threads: call, us"),
            begin.as_secs_f64() * 1e6,
            1,
            Target::None,
        );
        report.row(
            &format!("begin_shutdown in the middle, {threads} threads: to the waiter, us"),
            awake.as_secs_f64() * 1e6,
            1,
            Target::None,
        );
    }
}

/// With threads that go on serving and then rejecting: the best of several, how long the begin takes, and how long it
/// is from the call to the end of a `wait_for_drain` on a thread that sleeps until it is woken.
fn begin_in_the_middle(threads: usize) -> (Duration, Duration) {
    let once = || {
        let handle = DrainHandle::new();
        let candidate = candidates::drain_of(candidates::DRAIN, &handle);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        candidate.run(100);
                    }
                });
            }
            let (sender, waiter) = mpsc::channel();
            let wait = handle.wait_for_drain(Duration::MAX);
            scope.spawn(move || {
                let drained = tokio_test::block_on(wait);
                let _ = sender.send((Instant::now(), drained.is_ok()));
            });
            thread::sleep(Duration::from_millis(5));
            let start = Instant::now();
            assert!(handle.begin_shutdown());
            let begin = start.elapsed();
            let (end, drained) = waiter.recv().expect("the waiter ends");
            assert!(drained && handle.in_flight() == 0);
            stop.store(true, Ordering::Relaxed);
            (begin, end - start)
        })
    };
    let times: Vec<_> = (0..20).map(|_| once()).collect();
    let begin = times.iter().map(|times| times.0).min();
    let awake = times.iter().map(|times| times.1).min();
    (begin.unwrap_or_default(), awake.unwrap_or_default())
}
