//! Every single operation of every write fails, tears or is the last one.

use std::path::Path;
use std::sync::Arc;

use jam_core::{Durability, ErrorKind, Load, Record, Renewal, SessionStore, Timestamp};

use super::faulty::{Fault, FaultyFs};
use super::scenario::{Action, State, id, open, set_up, state};
use crate::dir::JsonDir;
use crate::fs::RealFs;

/// No single call of a store has so many operations.
const LAST: u64 = 100;

/// What is there after the action when nothing goes wrong.
async fn good_end(action: Action) -> (State, State) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path(), RealFs).await.expect("opened");
    set_up(&store).await;
    let before = state(&store).await;
    action.run(&store).await.expect("nothing goes wrong");
    (before, state(&store).await)
}

/// Lets the `at`th operation of the action go wrong. Tells whether it has that many.
async fn strike(directory: &Path, fault: Fault, at: u64, action: Action, before: &State, after: &State) -> bool {
    set_up(&open(directory, RealFs).await.expect("opened")).await;
    let fs = FaultyFs::new(fault, at);
    let case = format!("{action:?}, {fault:?} at {at}");
    let (result, store) = match open(directory, fs.clone()).await {
        Ok(store) => (action.run(&store).await, Some(store)),
        Err(error) => (Err(error), None),
    };
    if !fs.struck() {
        assert_eq!(result.err().map(|error| error.to_string()), None, "{case}");
        return false;
    }
    let found = state(&open(directory, RealFs).await.expect("opens again")).await;
    match &result {
        Ok(()) => assert_eq!(found, *after, "{case}: acknowledged"),
        Err(error) => {
            assert!(
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config),
                "{case}: {error}"
            );
            let unknown = error.outcome_unknown() || fault == Fault::Crash;
            assert!(
                found == *before || (unknown && found == *after),
                "{case}: {error}: nothing may have changed, or everything"
            );
        }
    }
    if let (Some(store), Fault::Fail | Fault::Tear) = (store, fault) {
        assert_eq!(
            state(&store).await,
            found,
            "{case}: the store that saw the error sees the same"
        );
        let record = Record::new("{\"later\":1}", None);
        store.insert(&id("user2", "later"), &record).await.expect("works again");
    }
    let store = open(directory, RealFs).await.expect("opens again");
    store
        .insert(&id("user1", "later"), &Record::new("{}", None))
        .await
        .expect("writable");
    assert_eq!(leftovers(directory), Vec::<String>::new(), "{case}");
    true
}

/// Names that no session file or lock has.
fn leftovers(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.extension().is_none() {
            found.extend(leftovers(&path));
        } else if path
            .extension()
            .is_none_or(|ending| ending != "json" && ending != "lock")
        {
            found.push(path.display().to_string());
        }
    }
    found
}

async fn strike_everywhere(fault: Fault) {
    for action in Action::ALL {
        let (before, after) = good_end(action).await;
        let mut at = 0;
        loop {
            let directory = tempfile::tempdir().expect("a temporary directory");
            if !strike(directory.path(), fault, at, action, &before, &after).await {
                break;
            }
            at += 1;
            assert!(at < 200, "an action has an end");
        }
        assert!(at > 3, "{action:?}: the fault did strike");
    }
}

#[tokio::test]
async fn an_operation_that_fails_leaves_everything_as_it_was_or_says_that_it_does_not_know() {
    strike_everywhere(Fault::Fail).await;
}

#[tokio::test]
async fn an_operation_that_does_half_its_work_leaves_nothing_half_done() {
    strike_everywhere(Fault::Tear).await;
}

#[tokio::test]
async fn a_crash_at_any_operation_leaves_every_session_whole_and_a_renamed_one_under_one_id() {
    strike_everywhere(Fault::Crash).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_at_any_operation_is_an_error_and_loses_nothing() {
    strike_everywhere(Fault::Full).await;
}

#[tokio::test]
async fn a_file_system_that_becomes_read_only_is_an_error_and_loses_nothing() {
    strike_everywhere(Fault::ReadOnly).await;
}

#[tokio::test]
async fn an_expired_session_on_a_read_only_file_system_is_none_and_no_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
    // Late enough for the store to be open.
    let fs = FaultyFs::new(Fault::ReadOnly, 8);
    let store = open(directory.path(), fs.clone()).await.expect("opened");
    while !fs.struck() {
        store.load(&id("user1", "a"), Load::new()).await.expect("loaded");
    }
    let renewal = Renewal::new(Timestamp::from_secs(9_000), Timestamp::from_secs(9_000));
    for how in [Load::new(), Load::new().renew(renewal)] {
        let expired = store.load(&id("user1", "expired"), how).await.expect("an answer");
        assert!(expired.is_none());
    }
    let due = store.load(&id("user1", "a"), Load::new().renew(renewal)).await;
    assert!(due.is_err(), "a renewal that cannot be written is one");
}

#[tokio::test]
async fn a_full_disk_and_a_read_only_one_are_told_apart_in_words() {
    for (fault, words) in [(Fault::Full, "the disk is full"), (Fault::ReadOnly, "read-only")] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        // Late enough for the store to be open.
        let fs = FaultyFs::new(fault, 8);
        let store = open(directory.path(), fs).await.expect("opened");
        while store.load(&id("user1", "a"), Load::new()).await.is_ok() {
            if let Err(error) = Action::Replace.run(&store).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.message().contains(words), "{error}");
                break;
            }
        }
        assert!(
            store
                .load(&id("user1", "a"), Load::new())
                .await
                .expect("reading goes on")
                .is_some(),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_sync_that_failed_is_made_up_for_before_anything_is_answered() {
    let mut unknown = 0;
    for at in 0..40 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let Ok(store) = open(directory.path(), fs.clone()).await else {
            continue;
        };
        let Err(error) = store.remove(&id("user1", "a")).await else {
            continue;
        };
        if error.outcome_unknown() {
            unknown += 1;
            let before = fs.count();
            assert!(!store.remove(&id("user1", "a")).await.expect("removed already"));
            let again = fs.count() - before;
            let before = fs.count();
            assert!(!store.remove(&id("user1", "a")).await.expect("removed already"));
            assert_eq!(
                again,
                fs.count() - before + 3,
                "three operations more: the sync that was owed, and a change before it"
            );
        }
    }
    assert_eq!(unknown, 1);
}

/// A store that owes a sync since it removed a session, and where something goes wrong so many operations later.
async fn owing_a_sync(fault: Fault, late: u64) -> (tempfile::TempDir, FaultyFs, JsonDir) {
    for at in 0..40 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fails_once = || FaultyFs::new(Fault::Fail, at);
        let fs = fails_once();
        let Ok(store) = open(directory.path(), fs.clone()).await else {
            continue;
        };
        let removed = store.remove(&id("user1", "a")).await;
        if !removed.is_err_and(|error| error.outcome_unknown()) {
            continue;
        }
        // The same once more.
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::on(Arc::new(fails_once()), fault, fs.count() + late);
        let store = open(directory.path(), fs.clone()).await.expect("opened");
        assert!(store.remove(&id("user1", "a")).await.is_err());
        return (directory, fs, store);
    }
    panic!("no operation of a removal is its sync");
}

#[tokio::test]
async fn whatever_goes_wrong_while_a_sync_is_made_up_for_is_an_error() {
    // The lock, a file that is created and removed again, and the sync.
    for late in 0..4 {
        let (_directory, fs, store) = owing_a_sync(Fault::Fail, late).await;
        let again = store.remove(&id("user1", "a")).await;
        assert!(fs.struck());
        assert!(again.is_err(), "operation {late} failed, and it was answered {again:?}");
        assert!(!store.remove(&id("user1", "a")).await.expect("removed already"));
    }
}

#[tokio::test]
async fn a_sync_is_made_up_for_also_where_others_remove_what_was_to_change_the_directory() {
    let mut operations = Vec::new();
    for late in [2, u64::MAX / 2] {
        let (_directory, fs, store) = owing_a_sync(Fault::Outrun, late).await;
        let before = fs.count();
        assert!(!store.remove(&id("user1", "a")).await.expect("removed already"));
        operations.push(fs.count() - before);
        assert_eq!(fs.struck(), late == 2);
    }
    assert_eq!(operations[0], operations[1], "the sync is one of them");
}

#[tokio::test]
async fn no_sync_is_owed_to_a_directory_that_is_gone() {
    let (directory, _fs, store) = owing_a_sync(Fault::Fail, u64::MAX / 2).await;
    for entry in std::fs::read_dir(directory.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
    assert!(!store.remove(&id("user1", "a")).await.expect("removed already"));
}

/// Also one that only looks for something. What cannot be read can be ended all the same.
#[tokio::test]
async fn every_operation_that_fails_while_sessions_are_ended_is_an_error_but_for_reads_of_them() {
    for clear in [false, true] {
        let (mut outcomes, mut reads) = (Vec::new(), Vec::new());
        for at in 0..60 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
            let fs = FaultyFs::new(Fault::Fail, at);
            let Ok(store) = open(directory.path(), fs.clone()).await else {
                continue;
            };
            let before = fs.count();
            let ended = if clear {
                store.clear(id("user1", "a").key()).await.map(|_| ())
            } else {
                store.remove(&id("user1", "a")).await.map(|_| ())
            };
            if ended.is_ok() {
                let left = state(&open(directory.path(), RealFs).await.expect("opens again")).await;
                assert_eq!(left.len(), if clear { 1 } else { 2 }, "{left:?}");
            }
            if at >= before && fs.struck() {
                let outcomes = if fs.struck_a_read() { &mut reads } else { &mut outcomes };
                outcomes.push(ended.is_err());
            }
        }
        assert_eq!(reads, vec![false; if clear { 3 } else { 1 }]);
        // What clears deletes the sessions last, when they have ended already.
        let fine = outcomes.iter().filter(|failed| !**failed).count();
        assert_eq!(
            (outcomes.len() > 2, fine),
            (true, usize::from(clear)),
            "{clear}: {outcomes:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_and_is_not_there_was_not_removed() {
    let mut reads = 0;
    for at in 0..20 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let Ok(store) = open(directory.path(), fs.clone()).await else {
            continue;
        };
        if let Ok(removed) = store.remove(&id("user1", "none")).await {
            assert!(!removed, "operation {at}");
            reads += usize::from(fs.struck_a_read());
        }
    }
    assert_eq!(reads, 1);
}

/// What has expired is removed in passing; all else that fails is an error.
#[tokio::test]
async fn a_list_that_cannot_remove_what_has_expired_gives_the_others() {
    let (mut failed, mut fine) = (0, 0);
    for at in 0..40 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let Ok(store) = open(directory.path(), fs.clone()).await else {
            continue;
        };
        let before = fs.count();
        let listed = store.list(id("user1", "a").key()).await;
        if at < before || !fs.struck() {
            continue;
        }
        match listed {
            Ok(entries) => {
                assert_eq!(entries.len(), 2);
                fine += 1;
            }
            Err(_) => failed += 1,
        }
    }
    // The lock, the directory, three sessions.
    assert_eq!((failed, fine), (5, 1));
}

/// Without syncs the key's directory is made only where a write finds none; that is no second try of anything else.
#[tokio::test]
async fn a_write_without_syncs_fails_where_one_of_its_operations_does() {
    // The first only asks whether the directory is there.
    for at in 1..LAST {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_up(&open(directory.path(), RealFs).await.expect("opened")).await;
        let fs = FaultyFs::new(Fault::Fail, at);
        let options = JsonDir::options()
            .storage_path(directory.path())
            .durability(Durability::Os);
        let Ok(store) = options.fs(Arc::new(fs.clone())).open().await else {
            assert!(fs.struck());
            continue;
        };
        let inserted = store.insert(&id("user1", "new"), &Record::new("{}", None)).await;
        if !fs.struck() {
            inserted.expect("nothing went wrong");
            return;
        }
        assert!(inserted.is_err(), "operation {at}");
    }
    panic!("it has more operations than {LAST}");
}

#[tokio::test]
async fn a_storage_directory_that_vanishes_under_a_write_is_named() {
    for at in 0..LAST {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().join("sessions");
        set_up(&open(&root, RealFs).await.expect("opened")).await;
        let fs = FaultyFs::losing(root.clone(), at);
        let opened = open(&root, fs.clone()).await;
        if fs.struck() {
            continue;
        }
        let store = opened.expect("opened");
        let inserted = store.insert(&id("user1", "new"), &Record::new("{}", None)).await;
        if !fs.struck() {
            return inserted.expect("nothing went wrong");
        }
        let error = inserted.expect_err("nowhere to write to");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let named = [
            "taking the lock",
            "syncing a directory",
            "the storage directory is gone",
        ];
        assert!(
            named.iter().any(|words| error.message().starts_with(words)),
            "{at}: {error}"
        );
    }
    panic!("it has more operations than {LAST}");
}
