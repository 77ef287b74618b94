#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/administration.rs"]
mod administration;

fuzz_target!(|input: &[u8]| administration::fuzz(input));
