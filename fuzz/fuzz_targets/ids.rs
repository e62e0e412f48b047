//! `cargo +nightly fuzz run ids`: see `jam_fuzz::ids`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::ids(bytes));

#[cfg(not(fuzzing))]
fn main() {}
