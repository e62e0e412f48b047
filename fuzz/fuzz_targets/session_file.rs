//! `cargo +nightly fuzz run session_file`: see `jam_fuzz::session_file`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jam_fuzz::session_file(bytes));

#[cfg(not(fuzzing))]
fn main() {}
