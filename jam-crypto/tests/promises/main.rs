//! What jam-crypto promises, one file for each kind of promise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![expect(clippy::similar_names, reason = "a sealer seals what is sealed")]

mod data;
mod forged;
mod golden;
mod ids;
mod keys;
mod rotation;
mod secrets;
mod support;
