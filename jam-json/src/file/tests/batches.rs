//! Writes that wait together share one sync, and nothing else.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Load, ManualClock, Record, RecordId, Renewal, SessionKey, SessionStore, Timestamp};
use tokio::task::JoinHandle;

use super::super::backlog::Backlog;
use super::fake_fs::{FakeFs, Fault, LONGEST_WAIT, Plan};
use crate::{Durability, JsonFile};

fn id(name: &str) -> RecordId {
    RecordId::new(SessionKey::new("u").expect("key"), name).expect("id")
}

fn insert(store: &Arc<JsonFile>, name: &str) -> JoinHandle<jam_core::Result<()>> {
    let (store, id) = (Arc::clone(store), id(name));
    tokio::spawn(async move { store.insert(&id, &Record::new("{}", None)).await })
}

async fn open(fs: &FakeFs) -> (tempfile::TempDir, Arc<JsonFile>) {
    let folder = tempfile::tempdir().expect("tempdir");
    let options = JsonFile::options(folder.path().join("sessions.json")).fs(Arc::new(fs.clone()));
    let store = options.open().await.expect("open");
    (folder, Arc::new(store))
}

/// Lets every task of a current-thread runtime run until it waits.
async fn let_all_queue() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Waits until the writer has taken what is queued and stands before the sync.
async fn until_written(fs: &FakeFs, operations: usize) {
    let started = Instant::now();
    while fs.operations() < operations {
        assert!(
            started.elapsed() < LONGEST_WAIT,
            "nothing was written; does the writer wait for a sync it should not?"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_write_is_synced_where_that_was_asked_for_and_nowhere_else() {
    for (durability, synced) in [(Durability::Sync, 1), (Durability::Os, 0)] {
        let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
        let options = JsonFile::options(folder.path().join("sessions.json")).durability(durability);
        let store = options.fs(Arc::new(fs.clone())).open().await.expect("open");
        let before = fs.file_syncs();
        store.insert(&id("a"), &Record::new("{}", None)).await.expect("insert");
        assert_eq!(fs.file_syncs() - before, synced, "{durability:?}");
    }
}

/// Of the record that another write of the batch leaves, that is.
#[tokio::test]
async fn a_version_that_was_read_in_a_batch_is_the_records() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let record = |payload: &'static str| Record::new(payload, Some(Timestamp::from_secs(4_000_000_000)));
    store.insert(&id("a"), &record("1")).await.expect("insert");
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    let replaced = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.replace(&id("a"), None, &record("2")).await })
    };
    let_all_queue().await;
    let loaded = {
        let (store, to) = (Arc::clone(&store), Timestamp::from_secs(5_000_000_000));
        tokio::spawn(async move { store.load(&id("a"), Load::new().renew(Renewal::new(to, to))).await })
    };
    let_all_queue().await;
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    replaced.await.expect("task").expect("replace");
    let loaded = loaded.await.expect("task").expect("load").expect("there");
    assert_eq!(&*loaded.payload, b"2");
    let swapped = store.replace(&id("a"), Some(&loaded.version), &record("3")).await;
    swapped.expect("nobody has changed it");
}

#[tokio::test]
async fn writes_that_wait_together_share_one_sync() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let (operations, before) = (fs.operations(), fs.file_syncs());
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    let rest: Vec<_> = (0..50).map(|number| insert(&store, &format!("{number}"))).collect();
    let_all_queue().await;
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    for task in rest {
        task.await.expect("task").expect("insert");
    }
    assert_eq!(fs.file_syncs() - before, 2);
}

#[tokio::test]
async fn no_reader_sees_a_write_before_it_is_durable() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    assert!(store.load(&id("first"), Load::new()).await.expect("load").is_none());
    assert!(store.list(id("first").key()).await.expect("list").is_empty());
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    assert!(store.load(&id("first"), Load::new()).await.expect("load").is_some());
}

#[tokio::test]
async fn a_session_that_was_seen_as_expired_does_not_come_back() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
    let options = JsonFile::options(folder.path().join("sessions.json")).clock(clock.clone());
    let store = Arc::new(options.fs(Arc::new(fs.clone())).open().await.expect("open"));
    let a = id("a");
    let record = Record::new("{}", Some(Timestamp::from_secs(1_010)));
    store.insert(&a, &record).await.expect("insert");
    let operations = fs.operations();
    fs.hold_syncs(true);
    clock.set(Timestamp::from_secs(1_009));
    let (toucher, of) = (Arc::clone(&store), a.clone());
    let touch = tokio::spawn(async move { toucher.touch(&of, Timestamp::from_secs(2_000)).await });
    let_all_queue().await;
    until_written(&fs, operations + 1).await;
    // The touch is decided, and not durable yet.
    clock.set(Timestamp::from_secs(1_011));
    let (loader, of) = (Arc::clone(&store), a.clone());
    let seen = tokio::spawn(async move { loader.load(&of, Load::new()).await });
    let (lister, of) = (Arc::clone(&store), a.clone());
    let listed = tokio::spawn(async move { lister.list(of.key()).await });
    let_all_queue().await;
    fs.hold_syncs(false);
    assert!(touch.await.expect("task").expect("touch"));
    assert!(
        seen.await.expect("task").expect("load").is_some(),
        "it was extended before"
    );
    assert_eq!(listed.await.expect("task").expect("list").len(), 1);
    assert!(store.load(&a, Load::new()).await.expect("load").is_some());
    // Without a write under way the clock alone decides, at once.
    clock.set(Timestamp::from_secs(2_000));
    assert!(store.load(&a, Load::new()).await.expect("load").is_none());
    assert!(store.list(a.key()).await.expect("list").is_empty());
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_before_its_turn_is_not_made() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    let (gone, next) = (insert(&store, "gone"), insert(&store, "next"));
    let_all_queue().await;
    gone.abort();
    let_all_queue().await;
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    next.await.expect("task").expect("insert");
    assert!(store.load(&id("gone"), Load::new()).await.expect("load").is_none());
}

#[tokio::test]
async fn what_one_caller_did_wrong_fails_nobody_else() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    let names = ["a", "b", "a", "c", "first"];
    let calls = names.map(|name| insert(&store, name));
    let_all_queue().await;
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    let mut kinds = Vec::new();
    for call in calls {
        kinds.push(call.await.expect("task").err().map(|error| error.kind()));
    }
    let exists = Some(ErrorKind::AlreadyExists);
    assert_eq!(kinds, [None, None, exists, None, exists]);
}

#[tokio::test]
async fn a_batch_that_fails_fails_all_that_rests_on_it() {
    let fs = FakeFs::default();
    let (_folder, store) = open(&fs).await;
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    let calls = ["first", "a", "a"].map(|name| insert(&store, name));
    let_all_queue().await;
    // The sync that is held is the next operation; the one after it is the write of the batch.
    let at = fs.operations() + 1;
    fs.fail(Some(Plan {
        at,
        fault: Fault::Torn,
        lasting: false,
    }));
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    let mut errors = Vec::new();
    for call in calls {
        errors.push(call.await.expect("task").expect_err("failed").kind());
    }
    assert_eq!(
        errors,
        [ErrorKind::AlreadyExists, ErrorKind::Unavailable, ErrorKind::Unavailable]
    );
    assert!(store.load(&id("a"), Load::new()).await.expect("load").is_none());
    insert(&store, "a").await.expect("task").expect("works again");
}

#[tokio::test]
async fn a_batch_that_fails_fails_nobody_who_looked_at_something_else() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
    let options = JsonFile::options(folder.path().join("sessions.json")).clock(clock.clone());
    let store = Arc::new(options.fs(Arc::new(fs.clone())).open().await.expect("open"));
    let old = RecordId::new(SessionKey::new("v").expect("key"), "old").expect("id");
    let record = Record::new("{}", Some(Timestamp::from_secs(1_010)));
    store.insert(&old, &record).await.expect("insert");
    let operations = fs.operations();
    fs.hold_syncs(true);
    let first = insert(&store, "first");
    until_written(&fs, operations + 1).await;
    clock.set(Timestamp::from_secs(1_011));
    let calls = ["new", "first"].map(|name| insert(&store, name));
    let_all_queue().await;
    let (loader, of) = (Arc::clone(&store), old.clone());
    let loaded = tokio::spawn(async move { loader.load(&of, Load::new()).await });
    let (lister, of) = (Arc::clone(&store), old.clone());
    let listed = tokio::spawn(async move { lister.list(of.key()).await });
    let_all_queue().await;
    fs.fail(Some(Plan {
        at: fs.operations() + 1,
        fault: Fault::Nothing,
        lasting: true,
    }));
    fs.hold_syncs(false);
    first.await.expect("task").expect("insert");
    let [new, again] = calls.map(|call| async move { call.await.expect("task").expect_err("no").kind() });
    assert_eq!(
        (new.await, again.await),
        (ErrorKind::Unavailable, ErrorKind::AlreadyExists)
    );
    assert!(
        loaded
            .await
            .expect("task")
            .expect("the batch did not touch it")
            .is_none()
    );
    assert!(listed.await.expect("task").expect("nor any of its key").is_empty());
    clock.set(Timestamp::from_secs(1_000));
    assert!(
        store.load(&old, Load::new()).await.expect("load").is_none(),
        "it was seen to expire"
    );
}

/// A compaction sweeps before it begins, and may fail then: what it swept must not come back.
#[tokio::test]
async fn what_was_seen_to_expire_stays_ended_after_the_sweep_of_a_compaction_that_failed() {
    for seen_during_the_sweep in [false, true] {
        let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
        let open = |fs: &FakeFs| {
            let options = JsonFile::options(folder.path().join("sessions.json")).clock(clock.clone());
            options.fs(Arc::new(fs.clone())).open()
        };
        let store = Arc::new(open(&fs).await.expect("open"));
        let until = |secs| Record::new("{}", Some(Timestamp::from_secs(secs)));
        store.insert(&id("a"), &until(1_010)).await.expect("insert");
        store.insert(&id("old"), &until(1_000)).await.expect("insert");
        let see_it_expire = || {
            clock.set(Timestamp::from_secs(1_010));
            let (store, a) = (Arc::clone(&store), id("a"));
            tokio::spawn(async move { store.load(&a, Load::new()).await })
        };
        if !seen_during_the_sweep {
            assert!(see_it_expire().await.expect("task").expect("load").is_none());
            clock.set(Timestamp::from_secs(1_000));
        }
        let operations = fs.operations();
        fs.hold_syncs(true);
        let compacting = Arc::clone(&store);
        let compaction = tokio::spawn(async move { compacting.compact().await });
        until_written(&fs, operations + 1).await;
        let seen = seen_during_the_sweep.then(see_it_expire);
        let_all_queue().await;
        clock.set(Timestamp::from_secs(1_000));
        // The sync that is held is the next operation; the one after it begins the compaction.
        fs.fail(Some(Plan {
            at: fs.operations() + 1,
            fault: Fault::Nothing,
            lasting: true,
        }));
        fs.hold_syncs(false);
        compaction.await.expect("task").expect_err("nothing works any more");
        let found = match seen {
            Some(seen) => seen.await.expect("task").expect("load").is_some(),
            None => false,
        };
        fs.fail(None);
        assert_eq!(store.remove(&id("a")).await.expect("remove"), found);
        store.insert(&id("b"), &until(1_010)).await.expect("insert");
        drop(store);
        let store = open(&fs).await.expect("open");
        assert!(store.load(&id("b"), Load::new()).await.expect("load").is_some());
        let a = store.load(&id("a"), Load::new()).await.expect("load");
        assert!(a.is_none(), "seen during the sweep: {seen_during_the_sweep}");
    }
}

#[tokio::test]
async fn so_many_calls_wait_behind_a_device_that_hangs_and_no_more() {
    let large = Record::new(vec![b'x'; 1024 * 1024], None);
    assert_eq!(
        (Backlog::MOST_CALLS, Backlog::MOST_BYTES),
        (65_536, 268_435_456),
        "as the docs say"
    );
    let most_large = Backlog::MOST_BYTES / (1024 * 1024);
    for (record, most) in [(Record::new("{}", None), Backlog::MOST_CALLS), (large, most_large)] {
        let fs = FakeFs::default();
        let (_folder, store) = open(&fs).await;
        let operations = fs.operations();
        fs.hold_syncs(true);
        let first = insert(&store, "first");
        until_written(&fs, operations + 1).await;
        let given_up = |name: &str| {
            let mut context = Context::from_waker(Waker::noop());
            store.insert(&id(name), &record).as_mut().poll(&mut context)
        };
        let waiting = (0..most)
            .filter(|number| given_up(&number.to_string()).is_pending())
            .count();
        let refused = given_up("one more");
        let read = store.load(&id("first"), Load::new()).await;
        fs.hold_syncs(false);
        assert_eq!(waiting, most);
        let Poll::Ready(Err(error)) = refused else {
            panic!("it waits, too");
        };
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
        assert!(read.expect("reads go on").is_none());
        first.await.expect("task").expect("insert");
        // Its turn comes after all that wait.
        while store.remove(&id("none")).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.list(id("first").key()).await.expect("list").len(), 1);
        store
            .insert(&id("one more"), &record)
            .await
            .expect("there is room again");
    }
}

#[tokio::test]
async fn a_close_that_failed_has_failed_for_everybody_who_closes() {
    let fs = FakeFs::default();
    let (folder, store) = open(&fs).await;
    insert(&store, "a").await.expect("task").expect("insert");
    let operations = fs.operations();
    let close = || {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.close().await })
    };
    fs.hold_syncs(true);
    let first = close();
    until_written(&fs, operations + 1).await;
    let at_once = [close(), close()];
    let_all_queue().await;
    fs.fail(Some(Plan {
        at: operations,
        fault: Fault::Nothing,
        lasting: true,
    }));
    fs.hold_syncs(false);
    for closing in [first].into_iter().chain(at_once) {
        let error = closing.await.expect("task").expect_err("failed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    fs.fail(None);
    let error = store.close().await.expect_err("it has failed, and is over");
    assert!(error.message().contains("failed"), "{error}");
    let options = JsonFile::options(folder.path().join("sessions.json")).fs(Arc::new(fs.clone()));
    let store = options.open().await.expect("the lock is free");
    assert!(store.load(&id("a"), Load::new()).await.expect("load").is_some());
    store.close().await.expect("close");
    store.close().await.expect("again");
}
