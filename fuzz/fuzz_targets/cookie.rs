//! `cargo +nightly fuzz run cookie`: see `jam_fuzz::cookie`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::cookie(bytes));

#[cfg(not(fuzzing))]
fn main() {}
