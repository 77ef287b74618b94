//! A rolling restart of anybody's server, in any language, behind a real proxy under load: what do clients lose?
//!
//! ```sh
//! cargo run --example drain-check -- --server './my-binary --port {port}' --proxy nginx
//! ```
//!
//! It needs `sh` and `kill`, and nginx or haproxy. What it does is what `tests/rolling` does to this crate's own
//! servers; what only that test uses is not dead.

#![allow(dead_code, clippy::incompatible_msrv)]

#[path = "../../tests/rolling/board.rs"]
mod board;
#[path = "../../tests/rolling/exchange.rs"]
mod exchange;
#[path = "../../tests/rolling/h2.rs"]
mod h2;
#[path = "../../tests/rolling/load.rs"]
mod load;
mod options;
#[path = "../../tests/rolling/outcome.rs"]
mod outcome;
#[path = "../../tests/rolling/process.rs"]
mod process;
#[path = "../../tests/rolling/proxy.rs"]
mod proxy;
#[path = "../../tests/rolling/report.rs"]
mod report;
#[path = "../../tests/rolling/roll.rs"]
mod roll;
#[path = "../../tests/rolling/server.rs"]
mod server;
mod told;
mod verdict;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{signal, SignalKind};

use board::Board;
use options::Options;
use outcome::Restart;
use verdict::Verdict;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let needed = options.proxy.program();
    if process::find_program(needed).is_none() {
        eprintln!("drain-check: {needed} is not installed; install it, or name another --proxy");
        return Verdict::Unknown.code();
    }
    let mut terminated = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    // Servers have process groups of their own, which a terminal that closes does not end.
    let mut hung_up = signal(SignalKind::hangup()).expect("SIGHUP can be caught");
    tokio::select! {
        code = check(&options) => code,
        // Servers and proxy die with the future that is dropped here.
        _ = tokio::signal::ctrl_c() => interrupted(),
        _ = terminated.recv() => interrupted(),
        _ = hung_up.recv() => interrupted(),
    }
}

fn interrupted() -> ExitCode {
    told::clear();
    eprintln!("drain-check: interrupted");
    Verdict::Unknown.code()
}

async fn check(options: &Options) -> ExitCode {
    let (board, run) = (Board::new(), options.run());
    let tell = |done: &Restart| {
        if !options.json {
            told::restart(done, options.restarts);
        }
    };
    let outcome = tokio::select! {
        outcome = run.roll_on(&board, tell) => outcome,
        () = told::progress(&board, options.restarts) => unreachable!("it draws for ever"),
    };
    told::clear();
    let verdict = Verdict::of(&outcome);
    match options.json {
        true => told::json(&outcome, verdict),
        false => told::text(&outcome, verdict),
    }
    verdict.code()
}
