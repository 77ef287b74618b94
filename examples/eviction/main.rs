//! Workers in containers that are evicted while they work: `cargo run --all-features --example eviction`.
//!
//! A coordinator hands jobs to two workers; all three are processes of their own, and this program starts each of them
//! as itself with a role. A worker that gets a SIGTERM tells the coordinator, which marks it as draining. It nudges its
//! jobs and waits; those that are left at the timeout it freezes, and it saves the work of those that froze. The worker
//! that comes in its place goes on with that, and lifts the mark once it is handed the mark's nonce. The coordinator
//! keeps its marks over a restart, and one that nobody lifts lifts itself. It keeps no jobs over a restart: a real one
//! would.
//!
//! | variable | meaning | default | in the play |
//! |---|---|---|---|
//! | `HANDOFF_SECONDS` | the nonce is handed out so long after the eviction: longer than an evicted worker can live | 660 | 4 |
//! | `TTL_SECONDS` | a mark that nobody lifts lifts itself after this | 900 | 6 |
//! | `EVICTION_SECONDS` | how long the coordinator has to hear of an eviction | 10 | |
//! | `FREEZE_SECONDS` | how long a job may take to freeze | 1 | 0.5 |
//! | `SAVE_SECONDS` | how long it may take to save one | 2 | |
//! | `STATE` | the directory for marks and saved work | | a temporary one |
//! | `GRACEFUL_SHUTDOWN_..` | of the workers: see `Timeouts::from_env` | | 1 s for the drain |
//!
//! The roles can be had alone: `STATE=.. eviction coordinator` takes its listening socket on stdin, and
//! `STATE=.. COORDINATOR=IP:PORT eviction worker NAME` works for it.

#[cfg(unix)]
mod roles;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    roles::main()
}

#[cfg(not(unix))]
fn main() {
    println!("this example needs SIGTERM, which Windows does not have");
}
