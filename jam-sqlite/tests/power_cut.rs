//! Power cuts in `sync` durability, on a real file system: `sudo scripts/power-cut-sqlite` mounts one, cuts it off while
//! the writer here writes, mounts it again, and lets the check here look. Without the script, both have nothing to do;
//! that every connection syncs is a unit test of the crate.
#![cfg(test)]

mod support;

use std::path::PathBuf;

use jam_sqlite::{Durability, SqliteStore};
use support::{query, steps};

const WRITE: &str = "JAM_TEST_POWER_CUT_WRITE";
const CHECK: &str = "JAM_TEST_POWER_CUT_CHECK";

/// The folder that this variable names, and how far the tasks have come.
async fn asked(variable: &str) -> Option<(PathBuf, SqliteStore, Vec<u64>)> {
    let folder = PathBuf::from(std::env::var_os(variable)?);
    let begun = steps::from_word(&std::env::var("JAM_TEST_POWER_CUT_STEPS").expect("steps"));
    let options = SqliteStore::options(folder.join("sessions.db")).durability(Durability::Sync);
    Some((folder, options.open().await.expect("open"), begun))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writer_whose_power_is_cut() {
    let Some((_, store, begun)) = asked(WRITE).await else {
        return;
    };
    steps::go_on(store, &begun).await;
}

#[tokio::test]
async fn check_after_a_power_cut() {
    let Some((folder, store, mut begun)) = asked(CHECK).await else {
        return;
    };
    let intact = query(&folder.join("sessions.db"), "PRAGMA integrity_check").await;
    assert_eq!(intact, ["ok"]);
    steps::check(&store, &mut begun, 8, "after the cut").await;
    println!("\nsteps {}", steps::to_word(&begun));
}
