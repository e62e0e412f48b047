//! What a process meets that was forked off with the store open.

use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use jam_core::{ErrorKind, Load, ManualClock, Record, RecordId, SessionKey, SessionStore, Timestamp};

use super::fake_fs::{FakeFs, LONGEST_WAIT};
use crate::JsonFile;

fn id() -> RecordId {
    RecordId::new(SessionKey::new("u").expect("key"), "a").expect("id")
}

#[tokio::test]
async fn a_process_that_was_forked_off_is_refused_from_the_next_millisecond_on() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
    let options = JsonFile::options(folder.path().join("sessions.json")).clock(clock.clone());
    let mut store = options.fs(Arc::new(fs.clone())).open().await.expect("open");
    let (a, record) = (id(), Record::new("{}", None));
    store.insert(&a, &record).await.expect("insert");
    assert!(store.load(&a, Load::new()).await.expect("load").is_some());
    store.opener = store.opener.forked();
    clock.set(Timestamp::from_millis(1_000_001));
    let errors = [
        store.load(&a, Load::new()).await.expect_err("load"),
        store.load(&a, Load::new()).await.expect_err("and again"),
        store.list(a.key()).await.expect_err("list"),
        store.scan(None, 1).await.expect_err("scan"),
        store.insert(&a, &record).await.expect_err("insert"),
        store.remove(&a).await.expect_err("remove"),
        store.clear(a.key()).await.expect_err("clear"),
        store.remove_expired(Timestamp::ZERO).await.expect_err("sweep"),
        store.compact().await.expect_err("compact"),
        store.close().await.expect_err("close"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().contains("forked") && !error.outcome_unknown(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_process_that_was_forked_off_drops_the_store_without_a_wait() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let options = JsonFile::options(folder.path().join("sessions.json"));
    let mut store = options.fs(Arc::new(fs.clone())).open().await.expect("open");
    // The writer stands before a sync, and so would who waits for it.
    fs.hold_syncs(true);
    let (a, record) = (id(), Record::new("{}", None));
    let polled = store
        .insert(&a, &record)
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    store.opener = store.opener.forked();
    let (done, dropped) = mpsc::channel();
    thread::spawn(move || {
        drop(store);
        done.send(())
    });
    let dropped = dropped.recv_timeout(LONGEST_WAIT);
    fs.hold_syncs(false);
    dropped.expect("it waits for a thread that is not there");
}
