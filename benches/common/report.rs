//! The table a bench prints, and the file that `benches/report.py` makes the table and the picture of
//! `BENCHMARKS.md` from: `target/bench-report/<bench>.tsv`.

use std::fs;
use std::io::Write;
use std::path::Path;

pub(crate) struct Report {
    file: fs::File,
}

/// What is asked of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    None,
    AtMost(f64, f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-report");
        fs::create_dir_all(&folder).expect("target can be written");
        let path = folder.join(format!("{bench}.tsv"));
        println!(
            "{:<58} {:>9} {:>7} {:>11}",
            "", "measured", "goal", "acceptable"
        );
        Self {
            file: fs::File::create(path).expect("target can be written"),
        }
    }

    pub(crate) fn row(&mut self, what: &str, measured: f64, decimals: usize, target: Target) {
        let measured = format!("{measured:.decimals$}");
        let (goal, acceptable) = match target {
            Target::None => (String::new(), String::new()),
            Target::AtMost(goal, acceptable) => (goal.to_string(), acceptable.to_string()),
            Target::AtLeast(goal) => (format!("{goal} or more"), String::new()),
        };
        println!("{what:<58} {measured:>9} {goal:>7} {acceptable:>11}");
        writeln!(self.file, "{what}\t{measured}\t{goal}\t{acceptable}")
            .expect("target can be written");
    }
}
