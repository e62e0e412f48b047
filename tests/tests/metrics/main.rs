//! What operators see: every documented metric, field and event, and nothing that is secret.
#![cfg(test)]

mod counts;
mod docs;
mod outages;
mod servers;
mod spans;
mod support;
