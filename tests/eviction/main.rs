//! `examples/eviction` as people run it, and each of its processes against a counterpart of the test's own.

#![cfg(all(unix, feature = "admin", feature = "agent", feature = "server"))]

#[path = "../common/example.rs"]
mod common;
mod coordinator;
mod fakes;
mod marks;
mod play;
mod process;
mod worker;
