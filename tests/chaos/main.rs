//! Real servers under clients that abort, stall, half-close, reset, pipeline and disconnect, with handlers that panic,
//! time out and leave work behind, while drains are begun, cut and taken back: at the end nothing is in flight, nobody
//! hangs, and no byte of an answer is missing.
//!
//! `TOWER_DRAIN_CHAOS_SECONDS` says how long (4). `TOWER_DRAIN_CHAOS_SEED` is the first round's seed, which a failure
//! names. It repeats what is done; when, is up to the scheduler.

#![allow(clippy::incompatible_msrv)] // Tests run on the newest Rust.

mod app;
mod content;
mod h1;
mod h2;
mod probe;
mod round;
mod seen;
#[allow(dead_code)] // Another test uses all of it.
#[path = "../it/sockets_support.rs"]
mod sockets_support;
mod steer;
mod wire;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::seen::Seen;

const SEED: &str = "TOWER_DRAIN_CHAOS_SEED";
const SECONDS: &str = "TOWER_DRAIN_CHAOS_SECONDS";

/// Two servers, each with cuts and without.
const KINDS: u64 = 4;

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={value:?} is not a number"),
    }
}

/// Says how to repeat a round that fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat it with {SEED}={}", self.0);
        }
    }
}

#[test]
fn after_everything_that_clients_handlers_and_drains_can_do_the_count_is_0_and_no_byte_is_missing()
{
    let first = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    let until = Instant::now() + Duration::from_secs(variable(SECONDS).unwrap_or(4));
    println!("{SEED}={first}");
    let seen = Arc::new(Seen::default());
    let mut seeds = fastrand::Rng::with_seed(first);
    let mut seed = first;
    let mut rounds = 0;
    while rounds < KINDS || Instant::now() < until {
        let named = Named(seed);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .unwrap();
        let played = runtime.block_on(runtime.spawn(round::play(seed, seen.clone())));
        // Whatever the round has left behind ends here.
        drop(runtime);
        if let Err(failure) = played {
            std::panic::resume_unwind(failure.into_panic());
        }
        drop(named);
        rounds += 1;
        seed = seeds.u64(..) / KINDS * KINDS + (seed + 1) % KINDS;
    }
    println!("{rounds} rounds: {}", seen.summary());
    for what in [
        "whole",
        "partial",
        "rejected",
        "cut before the answer",
        "timed out",
        "left",
        "reset",
        "half-closed",
        "stalled",
        "fragments",
        "pipelined",
        "trickled",
        "streams reset",
        "connections lost",
        "work after the answer",
        "waiters",
    ] {
        assert!(seen.count(what) >= rounds, "too tame: {}", seen.summary());
    }
}
