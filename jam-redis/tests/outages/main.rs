//! Servers that die, hang, start and refuse, and networks that swallow: every call ends in time, with the truth.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod lazily;
mod load;
mod network;
mod refusals;
mod servers;
