//! `cargo +nightly fuzz run config`: see `jam_fuzz::config`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::config(bytes));

#[cfg(not(fuzzing))]
fn main() {}
