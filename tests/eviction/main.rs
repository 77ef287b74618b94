//! `examples/eviction` as people run it, and each of its processes against a counterpart of the test's own.
//!
//! It is built by `cargo test`, but not by `cargo test --test eviction` alone.

#![cfg(all(unix, feature = "admin", feature = "agent", feature = "server"))]

mod coordinator;
mod fakes;
mod marks;
mod play;
mod process;
mod worker;
