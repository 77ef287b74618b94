//! Instructions that each candidate adds to a request, counted by valgrind.
//!
//! `cargo bench --bench instructions`; see `common/callgrind.rs`.

mod common;

use common::callgrind::Callgrind;
use common::candidates::{self, Candidate};
use common::report::{Report, Target};

fn all() -> Vec<Candidate> {
    let mut all = candidates::serving();
    all.extend(candidates::rejecting());
    all
}

fn main() {
    let Some(callgrind) = Callgrind::of(all()) else {
        return;
    };
    let mut report = Report::new("instructions");
    let bare = callgrind.per_turn(candidates::BARE);
    report.row("instructions, bare", bare, 0, Target::None);
    for candidate in all().iter().filter(|it| it.name != candidates::BARE) {
        let target = match candidate.name {
            candidates::DRAIN => Target::AtMost(150.0, 250.0),
            _ => Target::None,
        };
        let added = callgrind.per_turn(candidate.name) - bare;
        let what = format!("instructions added, {}", candidate.name);
        report.row(&what, added, 0, target);
    }
}
