#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/listener.rs"]
mod listener;

fuzz_target!(|input: &[u8]| listener::fuzz(input));
