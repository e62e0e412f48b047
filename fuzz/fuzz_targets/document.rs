//! `cargo +nightly fuzz run document`: see `jam_fuzz::document`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::document(bytes));

#[cfg(not(fuzzing))]
fn main() {}
