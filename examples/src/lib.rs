//! Runnable programs that show jam at work: `cargo run --example quickstart`.
