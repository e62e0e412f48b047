//! The `jam` command as its users meet it: the real program, its output and its exit codes.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod docs;
mod doctor;
mod far;
mod looks;
mod migrate;
mod migrate_again;
mod mistakes;
mod sessions;
mod support;
