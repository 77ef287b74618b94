//! Time per request of each way of counting, serving and rejecting, on one and on two threads.
//!
//! `cargo bench --bench overhead`.

mod common;

use std::time::Duration;

use criterion::{criterion_group, criterion_main, Criterion};

use common::candidates;
use common::threads::elapsed;

fn overhead(criterion: &mut Criterion) {
    for threads in [1, 2] {
        for (kind, candidates) in [
            ("serving", candidates::serving()),
            ("rejecting", candidates::rejecting()),
        ] {
            let mut group = criterion.benchmark_group(format!("{kind}, threads: {threads}"));
            for candidate in candidates {
                group.bench_function(candidate.name, |bencher| {
                    bencher.iter_custom(|requests| elapsed(&candidate, threads, requests));
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = overhead
}
criterion_main!(benches);
