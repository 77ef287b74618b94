//! Instructions that each candidate adds to a request, counted by valgrind.
//!
//! `cargo bench --bench instructions` runs itself under callgrind, once with few and once with many requests for each
//! candidate, so that what is not per request cancels out. With the name of a candidate and a number it is
//! such a run; `callgrind_annotate` shows where the instructions go.

mod common;

use std::env;
use std::process::Command;

use common::candidates::{self, Candidate};
use common::report::{Report, Target};

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

fn all() -> Vec<Candidate> {
    let mut all = candidates::serving();
    all.extend(candidates::rejecting());
    all
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [only] if only == "--bench" => compare(),
        [candidate, requests] => {
            let requests = requests.parse().expect("a number of requests");
            let all = all();
            let candidate = all.iter().find(|it| it.name == *candidate);
            candidate.expect("a known candidate").run(requests);
        }
        _ => {}
    }
}

fn compare() {
    let per_request = |name: &str| {
        let extra = instructions(name, MANY) - instructions(name, FEW);
        extra as f64 / (MANY - FEW) as f64
    };
    let mut report = Report::new("instructions");
    let bare = per_request(candidates::BARE);
    report.row("instructions, bare", bare, 0, Target::None);
    for candidate in all().iter().filter(|it| it.name != candidates::BARE) {
        let target = match candidate.name {
            candidates::DRAIN => Target::AtMost(150.0, 250.0),
            _ => Target::None,
        };
        let added = per_request(candidate.name) - bare;
        report.row(
            &format!("instructions added, {}", candidate.name),
            added,
            0,
            target,
        );
    }
}

fn instructions(candidate: &str, requests: u64) -> u64 {
    let itself = env::current_exe().expect("a bench has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(itself)
        .args([candidate, &requests.to_string()])
        .output()
        .expect("valgrind is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    log.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind failed:\n{log}"))
}
