//! What was seen to have ended stays ended, whatever the clocks of several processes say and however long a lock is held.
#![cfg(test)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jam_core::{Clock, ErrorKind, Load, Record, Rename, Renewal, SessionStore, Timestamp};
use jam_sqlite::{SqliteOptions, SqliteStore};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use support::*;
use tokio::sync::oneshot;

/// A clock that, when it is looked at for the first time after it was set, gives the time that was, once the test says so.
#[derive(Debug, Default)]
struct Hesitating {
    before: u64,
    armed: AtomicBool,
    looked: Mutex<Option<oneshot::Sender<()>>>,
    go_on: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

const AFTER: u64 = 2_001;

impl Clock for Hesitating {
    fn now(&self) -> Timestamp {
        if !self.armed.swap(false, Ordering::SeqCst) {
            return Timestamp::from_secs(AFTER);
        }
        let looked = self.looked.lock().expect("lock").take().expect("armed");
        looked.send(()).expect("the test waits");
        let go_on = self.go_on.lock().expect("lock").take().expect("armed");
        go_on.recv().expect("the test goes on");
        Timestamp::from_secs(self.before)
    }
}

impl Hesitating {
    fn arm(&self) -> (oneshot::Receiver<()>, std::sync::mpsc::Sender<()>) {
        let ((looked, was_looked_at), (go_on, receiver)) = (oneshot::channel(), std::sync::mpsc::channel());
        *self.looked.lock().expect("lock") = Some(looked);
        *self.go_on.lock().expect("lock") = Some(receiver);
        self.armed.store(true, Ordering::SeqCst);
        (was_looked_at, go_on)
    }
}

#[derive(Clone, Copy, Debug)]
enum Late {
    Touch,
    Renew,
    Overwrite,
    Swap,
    Rename,
}

/// Whether the late write did anything.
async fn late(store: &SqliteStore, how: Late) -> bool {
    let (a, b) = (id("user1", "a"), id("user2", "b"));
    let prolonged = Record::new("{}", Some(Timestamp::from_secs(9_000)));
    let current = jam_core::Version::from_content("{}");
    let outcome = match how {
        Late::Touch => return store.touch(&a, Timestamp::from_secs(9_000)).await.expect("touch"),
        Late::Renew => {
            let renewal = Renewal::new(Timestamp::from_secs(9_000), Timestamp::from_secs(8_000));
            let loaded = store.load(&a, Load::new().renew(renewal)).await;
            return loaded.expect("load").is_some();
        }
        Late::Overwrite => store.replace(&a, None, &prolonged).await,
        Late::Swap => store.replace(&a, Some(&current), &prolonged).await,
        Late::Rename => store.rename(Rename::new(&a, &current, &b, &prolonged)).await,
    };
    match outcome {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_process_saw_end_is_not_revived_by_another_that_looked_at_its_clock_before() {
    // A connection of the application's own may wait for longer than any of jam's, as long as it was told to.
    for (before, of_a_pool) in [(1_999, false), (1_999, true), (1_900, true)] {
        for how in [Late::Touch, Late::Renew, Late::Overwrite, Late::Swap, Late::Rename] {
            nothing_is_revived(before, of_a_pool, how).await;
        }
    }
}

async fn nothing_is_revived(before: u64, of_a_pool: bool, how: Late) {
    let place = Place::new();
    let clock = Arc::new(Hesitating {
        before,
        ..Hesitating::default()
    });
    let options = if of_a_pool {
        place.open().await.close().await.expect("close");
        let waiting = SqliteConnectOptions::new()
            .filename(place.path())
            .busy_timeout(Duration::from_mins(2));
        SqliteOptions::from_pool(SqlitePool::connect_with(waiting).await.expect("pool"))
    } else {
        place.options()
    };
    let slow = Arc::new(options.clock(clock.clone()).open().await.expect("open"));
    let quick = place.options().busy_timeout(Duration::from_millis(50));
    let quick = quick.open().await.expect("open");
    let record = Record::new("{}", Some(Timestamp::from_secs(2_000)));
    quick.insert(&id("user1", "a"), &record).await.expect("insert");
    place.clock.set(Timestamp::from_secs(AFTER));
    let (looked, go_on) = clock.arm();
    let writer = Arc::clone(&slow);
    let write = tokio::spawn(async move { late(&writer, how).await });
    looked.await.expect("it looks at its clock");
    // Nobody was told that it ended where the slow one has the lock.
    let seen_to_end = match quick.load(&id("user1", "a"), Load::new()).await {
        Ok(found) => found.is_none(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            false
        }
    };
    go_on.send(()).expect("it waits");
    let revived = write.await.expect("no panic");
    assert!(!(seen_to_end && revived), "{how:?} revived it");
}
