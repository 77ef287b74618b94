#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/goodbye.rs"]
mod goodbye;

fuzz_target!(|input: &[u8]| goodbye::fuzz(input));
