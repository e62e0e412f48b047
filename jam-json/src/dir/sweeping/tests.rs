//! Who helps with a sweep, and what comes of it.

use std::path::Path;
use std::thread;

use jam_core::{ErrorKind, Record, RecordId, SessionKey, SessionStore, SystemClock};

use super::super::JsonDir;
use super::super::names::Layout;
use super::*;
use crate::Durability;
use crate::fs::{Fs, LockFile, RealFs};

fn state(inserted: u64, removed: u64, looked_at: u64) -> State {
    State {
        looked_at,
        removed,
        inserted,
        ..State::default()
    }
}

#[test]
fn a_sweep_is_behind_where_less_goes_than_twice_what_comes_and_most_of_what_it_meets_goes() {
    assert!(state(179, 100, 199).is_behind());
    assert!(!state(178, 100, 199).is_behind(), "hardly");
    assert!(
        !state(10_000, 100, 200).is_behind(),
        "half of the keys have nothing to remove"
    );
    assert!(!state(10_000, 0, 0).is_behind(), "it has just begun");
}

#[test]
fn the_end_of_a_sweep_has_what_those_did_who_helped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sweep = Sweep::begun(&disk(directory.path()), Timestamp::ZERO).expect("listed");
    sweep.lock().at_work = 2;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _at_work = AtWork(&sweep);
                sweep.lock().removed += 5;
            });
        }
        assert_eq!(sweep.end().expect("no trouble"), 10);
    });
}

fn disk(root: &Path) -> Disk {
    let layout = Layout::new(root.to_owned(), "jam_".to_owned());
    Disk::new(Arc::new(RealFs), layout, Durability::Os, Arc::new(SystemClock))
}

/// A store with that many sessions of a key each, which end then.
async fn store(root: &Path, sessions: usize, ends: Option<Timestamp>) -> JsonDir {
    let store = JsonDir::on(disk(root));
    for number in 0..sessions {
        insert(&store, &format!("old{number}"), ends).await;
    }
    store
}

async fn insert(store: &JsonDir, key: &str, ends: Option<Timestamp>) {
    let id = RecordId::new(SessionKey::new(key).expect("a key"), "only").expect("an id");
    store.insert(&id, &Record::new("{}", ends)).await.expect("inserted");
}

#[tokio::test]
async fn who_creates_helps_a_sweep_that_falls_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 600, Some(Timestamp::from_secs(1))).await;
    let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).map(Arc::new);
    let sweep = sweep.expect("listed");
    let known = store.disk.sweeps.begin(&sweep).expect("the only one");
    assert!(store.disk.sweeps.begin(&sweep).is_none());
    // The one whose sweep it is gets no further than this.
    while sweep.lock().removed < 10 {
        assert!(sweep.step(&store.disk));
    }
    for number in 0..450 {
        insert(&store, &format!("new{number}"), None).await;
    }
    let removed = sweep.end().expect("no trouble");
    assert!((500..=600).contains(&removed), "{removed}");
    assert_eq!(sweep.finish(&store.disk).expect("no trouble"), 600, "each one once");
    drop(known);
    assert!(store.disk.sweeps.known().is_none());
    let live = store.scan(None, usize::MAX).await.expect("scanned");
    assert_eq!(live.entries.len(), 450);
}

#[tokio::test]
async fn nobody_helps_a_sweep_that_finds_little_to_remove() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 50, None).await;
    let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).map(Arc::new);
    let sweep = sweep.expect("listed");
    let _known = store.disk.sweeps.begin(&sweep).expect("the only one");
    for _ in 0..10 {
        assert!(sweep.step(&store.disk));
    }
    let before = sweep.lock().left.len();
    for number in 0..600 {
        insert(&store, &format!("new{number}"), None).await;
    }
    assert_eq!(sweep.end().expect("no trouble"), 0);
    assert_eq!(sweep.lock().left.len(), before);
}

#[tokio::test]
async fn what_another_process_has_swept_says_nothing_about_what_is_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 5, Some(Timestamp::from_secs(1))).await;
    let begun = || Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
    let (ours, theirs) = (begun(), begun());
    let came_to = |sweep: &Sweep| {
        let state = sweep.lock();
        (state.removed, state.looked_at)
    };
    while theirs.step(&store.disk) {}
    assert_eq!(came_to(&theirs), (5, 5));
    while ours.step(&store.disk) {}
    assert_eq!(came_to(&ours), (0, 0));
}

/// Locks a key as another process would.
#[cfg(unix)]
fn lock_elsewhere(store: &JsonDir, key: &str) -> LockFile {
    let path = store.disk.layout.lock(Name::of(key).slot());
    RealFs.lock(&path).expect("nobody else has it")
}

#[cfg(unix)]
#[tokio::test]
async fn who_helps_waits_for_no_lock_and_leaves_what_is_behind_it_for_later() {
    // By a second helper, or by whose sweep it is: before or after a second helper has tried.
    for (tries, by_helper) in [(1, true), (1, false), (2, false)] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = store(directory.path(), 1, Some(Timestamp::from_secs(1))).await;
        let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
        let elsewhere = lock_elsewhere(&store, "old0");
        for _ in 0..tries {
            sweep.help(&store.disk);
        }
        assert!(!sweep.rests(), "it is not done");
        assert_eq!(
            sweep.lock().has_more(),
            tries < 2,
            "nobody tries a third time without waiting"
        );
        drop(elsewhere);
        if by_helper {
            sweep.help(&store.disk);
            assert!(sweep.rests());
        }
        assert_eq!(sweep.finish(&store.disk).expect("no trouble"), 1);
        assert_eq!(sweep.lock().looked_at, 1, "once");
    }
}

#[tokio::test]
async fn nobody_is_asked_to_help_where_nothing_is_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 2, Some(Timestamp::from_secs(1))).await;
    let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
    assert!(sweep.step(&store.disk));
    sweep.lock().inserted = 1_000;
    assert!(sweep.heed_insert());
    assert!(sweep.step(&store.disk));
    assert!(!sweep.heed_insert() && sweep.lock().is_behind());
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_left_for_later_is_an_error_where_the_store_was_closed_meanwhile() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 1, Some(Timestamp::from_secs(1))).await;
    let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
    let elsewhere = lock_elsewhere(&store, "old0");
    sweep.help(&store.disk);
    drop(elsewhere);
    store.disk.close();
    assert!(!sweep.step(&store.disk) && sweep.rests());
    assert!(sweep.end().is_err_and(|error| error.kind() == ErrorKind::Unavailable));
}

#[cfg(unix)]
#[tokio::test]
async fn a_sweep_is_known_while_it_lasts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(store(directory.path(), 1, Some(Timestamp::from_secs(1))).await);
    let elsewhere = lock_elsewhere(&store, "old0");
    let sweeping = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.remove_expired(Timestamp::from_secs(2)).await }
    });
    // It cannot end before the lock is free.
    for _ in 0..10_000 {
        if store.disk.sweeps.known().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(store.disk.sweeps.known().is_some());
    drop(elsewhere);
    assert_eq!(sweeping.await.expect("no panic").expect("swept"), 1);
    assert!(store.disk.sweeps.known().is_none());
}

#[tokio::test]
async fn a_sweep_of_a_closed_store_is_an_error_only_where_something_was_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path(), 5, Some(Timestamp::from_secs(1))).await;
    let begun = || Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
    let (cut, whole) = (begun(), begun());
    assert!(cut.step(&store.disk));
    while whole.step(&store.disk) {}
    store.disk.close();
    assert!(!cut.step(&store.disk) && !whole.step(&store.disk));
    assert!(cut.end().is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    assert!(whole.end().is_ok());
}

#[test]
fn whoever_waits_for_helpers_is_woken_by_the_last_of_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sweep = Sweep::begun(&disk(directory.path()), Timestamp::ZERO).expect("listed");
    sweep.lock().at_work = 2;
    thread::scope(|scope| {
        let state = sweep.lock();
        // They get the lock once this one waits.
        for _ in 0..2 {
            scope.spawn(|| drop(AtWork(&sweep)));
        }
        let limit = std::time::Duration::from_secs(20);
        let waited = sweep
            .at_rest
            .wait_timeout_while(state, limit, |state| state.at_work > 0);
        let timed_out = waited.expect("nobody panicked").1.timed_out();
        assert!(!timed_out, "nobody was woken");
    });
}

/// What the last helper could not have is seen to by whose sweep it is, who had nothing left to do.
#[tokio::test]
async fn a_sweep_does_not_end_before_its_helpers_have_said_what_they_left() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for number in 0..200 {
        let store = store(directory.path(), 1, Some(Timestamp::from_secs(1))).await;
        let sweep = Sweep::begun(&store.disk, Timestamp::from_secs(2)).expect("listed");
        let item = sweep.next(&store.disk, |state| {
            state.left.find(|item| matches!(item, Item::Key(_)))
        });
        let item = item.expect("the only one");
        thread::scope(|scope| {
            let ended = scope.spawn(|| sweep.finish(&store.disk));
            // More and more time to find that nothing is left.
            for _ in 0..number {
                thread::yield_now();
            }
            let at_work = AtWork(&sweep);
            sweep.lock().locked.push(item);
            drop(at_work);
            let removed = ended.join().expect("no panic").expect("no trouble");
            assert_eq!(removed, 1, "round {number}");
        });
    }
}
