//! # jam-json
//!
//! Two stores that keep sessions in files.
#![forbid(unsafe_code)]

mod durability;
mod fs;

pub use self::durability::Durability;
