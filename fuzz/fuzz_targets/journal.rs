//! `cargo +nightly fuzz run journal`: see `jam_fuzz::journal`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::journal(bytes));

#[cfg(not(fuzzing))]
fn main() {}
