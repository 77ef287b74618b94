//! Counts instructions with valgrind.
//!
//! A bench that does so runs itself under callgrind, once with few and once with many turns of each candidate, so that
//! what is not per turn cancels out. With the name of a candidate and a number it is such a run;
//! `callgrind_annotate` shows where the instructions go.

use std::env;
use std::process::Command;

use super::candidates::Candidate;

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

pub(crate) struct Callgrind(());

impl Callgrind {
    /// `None` if this process is one that is counted, or no bench at all; then it has done its work.
    pub(crate) fn of(candidates: Vec<Candidate>) -> Option<Self> {
        let arguments: Vec<_> = env::args().skip(1).collect();
        match &arguments[..] {
            [only] if only == "--bench" => return Some(Self(())),
            [name, turns] => {
                let turns = turns.parse().expect("a number of turns");
                let candidate = candidates.iter().find(|it| it.name == *name);
                candidate.expect("a known candidate").run(turns);
            }
            _ => {}
        }
        None
    }

    /// How many instructions one turn of this candidate takes.
    pub(crate) fn per_turn(&self, name: &str) -> f64 {
        (instructions(name, MANY) - instructions(name, FEW)) as f64 / (MANY - FEW) as f64
    }
}

fn instructions(candidate: &str, turns: u64) -> u64 {
    let itself = env::current_exe().expect("a bench has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(itself)
        .args([candidate, &turns.to_string()])
        .output()
        .expect("valgrind is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    log.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind failed:\n{log}"))
}
