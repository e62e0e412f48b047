//! # jam-json
//!
//! Two stores that keep sessions in files.
#![forbid(unsafe_code)]

mod dir;
mod durability;
mod file;
mod fs;

pub use self::dir::{JsonDir, JsonDirFactory, JsonDirOptions};
pub use self::durability::Durability;
pub use self::file::{Damage, Import, JsonFile, JsonFileFactory, JsonFileOptions, RecoveryReport};
