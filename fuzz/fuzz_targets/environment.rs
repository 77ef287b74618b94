#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/environment.rs"]
mod environment;

fuzz_target!(|input: &[u8]| environment::fuzz(input));
