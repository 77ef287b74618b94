//! What the fuzzer has found worth keeping, run again; the fuzzer itself is in `fuzz/`.

#![cfg(all(
    unix,
    feature = "admin",
    feature = "agent",
    feature = "shutdown",
    feature = "stream"
))]
#![allow(clippy::incompatible_msrv)] // Tests run on the newest Rust.

mod administration;
mod environment;
mod goodbye;
mod listener;

use std::path::Path;

/// Runs every file of a corpus, and says which one fails.
#[track_caller]
fn replay(name: &str, fuzz: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = std::fs::read_dir(corpus.join(name)).unwrap();
    let mut ran = 0;
    for file in files {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| fuzz(&input)).is_err() {
            panic!("{} fails", path.display());
        }
        ran += 1;
    }
    assert!(ran >= 10, "{ran} files are no corpus");
}

#[test]
fn every_stream_of_the_corpus_ends_between_two_events_or_whole() {
    replay("goodbye", goodbye::fuzz);
}

#[test]
fn every_environment_of_the_corpus_means_what_it_says_or_is_named() {
    replay("environment", environment::fuzz);
}

#[test]
fn every_chunk_of_the_corpus_passes_the_listener_and_every_goodbye_is_heard() {
    replay("listener", listener::fuzz);
}

#[test]
fn every_order_of_the_corpus_is_obeyed_or_refused_without_a_trace() {
    replay("administration", administration::fuzz);
}
