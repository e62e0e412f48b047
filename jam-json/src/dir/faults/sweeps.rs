//! What becomes of a sweep where an operation goes wrong, or finds what is not jam's.

use jam_core::{SessionStore, Timestamp};

use super::faulty::{Fault, FaultyFs};
use super::scenario::{open, set_up};
use crate::fs::RealFs;

/// By then all of what was set up has expired but one.
const LATER: Timestamp = Timestamp::from_secs(10_000_000_000);

#[tokio::test]
async fn every_operation_of_a_sweep_that_fails_is_an_error() {
    let mut struck = 0;
    for at in 0..100 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let Ok(store) = open(directory.path(), fs.clone()).await else {
            continue;
        };
        if fs.struck() {
            continue;
        }
        let swept = store.remove_expired(LATER).await;
        if !fs.struck() {
            assert_eq!(swept.expect("nothing went wrong"), 3);
            assert!(struck > 10, "{struck}");
            return;
        }
        struck += 1;
        assert!(swept.is_err(), "operation {at}");
        store.remove_expired(LATER).await.expect("it works again");
        let left = std::fs::read_dir(directory.path()).expect("listed");
        let dirs = left.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir()));
        assert_eq!(dirs.count(), 1, "operation {at}: only one key has sessions");
    }
    panic!("it has more operations than that");
}

#[tokio::test]
async fn a_directory_in_which_somebody_keeps_a_file_of_their_own_is_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path(), RealFs).await.expect("opened");
    set_up(&store).await;
    for entry in std::fs::read_dir(directory.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            std::fs::write(path.join("notes.txt"), "mine").expect("written");
        }
    }
    assert_eq!(store.remove_expired(LATER).await.expect("swept"), 3);
    assert_eq!(store.remove_expired(LATER).await.expect("swept"), 0);
}
