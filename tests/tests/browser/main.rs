//! The example `axum_devices` in real browsers: what its visitors are promised, done with the keyboard and the mouse.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod counter;
mod cross_origin;
mod devices;
mod looks;
mod outage;
mod stage;
