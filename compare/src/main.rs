//! Compares how servers stop. Without arguments it runs everything and writes the tables of COMPARE.md.

use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    tower_drain_compare::main().await
}
