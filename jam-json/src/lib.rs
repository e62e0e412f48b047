//! # jam-json
//!
//! Sessions in files that a person can read, for [jam](jam_core). Two stores:
//!
//! | | [`JsonFile`] | [`JsonDir`] |
//! |---|---|---|
//! | on the disk | one JSON document, and a journal beside it | a directory with one file per session |
//! | processes at once | one | several |
//! | a read | from memory | from the file |
//! | a write | appended to the journal; writes that wait together share one sync | one file written and renamed |
//! | for | a service of one process, at the speed of memory | several workers on one machine, few writes |
//!
//! What an acknowledged write survives is [`Durability`]: by default a power cut.
//!
//! A store belongs to the process that opened it. A program that forks (a server with workers, say) opens its stores in
//! each process after the fork, and uses none before it: the threads that opening takes are not there in a child either,
//! which may then wait for ever.
//!
//! Through a [`Registry`](jam_core::Registry), and so from a config or a URL, [`JsonFileFactory`] opens `json` and
//! [`JsonDirFactory`] `json-dir` (or `file`).
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod dir;
mod file;
mod fs;
mod opener;
#[cfg(unix)]
mod owner;
mod payload;

pub use jam_core::Durability;

pub use self::dir::{JsonDir, JsonDirFactory, JsonDirOptions};
pub use self::file::{Damage, Import, JsonFile, JsonFileFactory, JsonFileOptions, RecoveryReport};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The first test to run.
#[cfg(test)]
#[test]
fn a_failure_ends_all_where_that_is_asked_for() {
    jam_test_trials::end_at_first_failure();
}
