//! What opening a store makes durable, and what becomes of it where that cannot be done.

use std::sync::Arc;

use jam_core::{Durability, ErrorKind, Result};

use super::faulty::{Fault, FaultyFs};
use super::machine::Machine;
use super::scenario::{open, set_up};
use crate::dir::JsonDir;
use crate::fs::RealFs;

/// Opening has no more operations.
const LAST: u64 = 100;

#[tokio::test]
async fn a_store_is_not_opened_where_its_directory_may_not_last() {
    // The first only asks whether the directory is there.
    for at in 1..LAST {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let opened = open(directory.path(), fs.clone()).await;
        if !fs.struck() {
            opened.expect("nothing went wrong");
            return;
        }
        assert!(opened.is_err(), "operation {at}");
    }
    panic!("it has more operations than {LAST}");
}

/// What comes of opening a store whose directory is there already, or not, where an operation goes wrong; and whether the
/// directory is there then.
async fn opened_with(fault: Fault, at: u64, is_there: bool) -> (Result<JsonDir>, bool) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("sessions");
    if is_there {
        std::fs::create_dir(&root).expect("created");
    }
    let opened = open(&root, FaultyFs::new(fault, at)).await;
    (opened, root.exists())
}

#[tokio::test]
async fn the_names_that_lead_to_a_session_are_made_durable_before_a_store_is_open() {
    for is_there in [false, true] {
        for (at, what) in [
            (1, "`storage_path` is no directory"),
            (2, "syncing the directory that the storage directory lies in"),
            (3, "syncing the storage directory"),
        ] {
            let (opened, left) = opened_with(Fault::Fail, at, is_there).await;
            let error = opened.expect_err("it may not last");
            assert!(error.message().starts_with(what), "{at}: {error}");
            // What is left there the next one takes for durable.
            assert_eq!(left, is_there || at == 3, "{at}");
        }
    }
}

#[tokio::test]
async fn a_directory_that_was_there_is_taken_for_durable_where_what_it_lies_in_may_not_be_read() {
    let (opened, _) = opened_with(Fault::Deny, 2, true).await;
    opened.expect("somebody else made it, and not just now");
    let (opened, left) = opened_with(Fault::Deny, 2, false).await;
    let error = opened.expect_err("it may not last");
    assert_eq!((error.kind(), left), (ErrorKind::Unavailable, false));
}

#[tokio::test]
async fn nothing_is_synced_where_nobody_asked_for_syncs() {
    for durability in [Durability::Os, Durability::Sync] {
        let machine = Machine::new();
        machine.let_syncs_fail(true);
        let options = JsonDir::options().storage_path("/sessions").durability(durability);
        let opened = options.fs(Arc::new(machine)).open().await;
        assert_eq!(opened.is_ok(), durability == Durability::Os);
    }
}
