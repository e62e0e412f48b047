//! `cargo +nightly fuzz run sealed`: see `jam_fuzz::sealed`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::sealed(bytes));

#[cfg(not(fuzzing))]
fn main() {}
