//! What jam-crypto promises, one file for each kind of promise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod data;
mod fernet;
mod fernet_golden;
mod forged;
mod golden;
mod ids;
mod keys;
mod rotation;
mod secrets;
mod support;
