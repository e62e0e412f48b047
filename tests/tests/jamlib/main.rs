//! One server, jam and the real jamlib: what either does, the other sees. `docs/jamlib.md` says all of this in words.
//!
//! Every promise is checked with jamlib's sync and aio modules, plain and encrypted.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod both_ways;
mod data;
mod lifetimes;
mod old_servers;
mod python;
mod stage;
mod together;
