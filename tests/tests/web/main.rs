//! What every web layer promises, through every framework, from one table.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bearer;
mod concurrent;
mod cookie;
mod cross_origin;
mod devices;
mod failures;
mod fields;
mod headers;
mod identity;
mod late;
mod lazy;
mod outages;
mod rotation;
mod secrets;
mod support;
