//! Allocations of a request that is answered without waiting, from the clone of the service to the drop of the body.
//!
//! `cargo bench --bench allocations`. Apart from the benches that take the time: the allocator that counts is a line that
//! all threads write to.

mod common;

use std::alloc::System;
use std::env;

use stats_alloc::{Region, StatsAlloc, INSTRUMENTED_SYSTEM};

use common::candidates::{self, Candidate};
use common::report::{Report, Target};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: u64 = 10_000;

fn main() {
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut report = Report::new("allocations");
    for candidate in candidates::serving() {
        let target = match candidate.name {
            candidates::DRAIN | candidates::CONFIGURED => Target::AtMost(0.0, 0.0),
            _ => Target::None,
        };
        let what = format!("allocations per request, {}", candidate.name);
        report.row(&what, per_request(&candidate), 3, target);
    }
}

/// Without what a loop over requests allocates once.
fn per_request(candidate: &Candidate) -> f64 {
    let allocations = |requests| {
        let region = Region::new(ALLOCATOR);
        candidate.run(requests);
        region.change().allocations
    };
    let once = allocations(0);
    (allocations(REQUESTS) - once) as f64 / REQUESTS as f64
}
