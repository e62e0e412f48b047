//! What was seen to have ended stays ended, whatever the clocks of several processes say and however long a lock is held.
#![cfg(test)]

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jam_core::{Clock, ErrorKind, Load, Record, Rename, Renewal, SessionStore, Timestamp};
use jam_sqlite::{SqliteOptions, SqliteStore};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use support::*;
use tokio::sync::oneshot;

/// A clock that gives the times that it was set to, one at each look, and the last of them once the test says so.
#[derive(Debug, Default)]
struct Hesitating {
    times: Mutex<VecDeque<u64>>,
    looked: Mutex<Option<oneshot::Sender<()>>>,
    go_on: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

const AFTER: u64 = 2_001;

impl Clock for Hesitating {
    fn now(&self) -> Timestamp {
        let mut times = self.times.lock().expect("lock");
        let Some(time) = times.pop_front() else {
            return Timestamp::from_secs(AFTER);
        };
        let is_last = times.is_empty();
        drop(times);
        if is_last {
            let looked = self.looked.lock().expect("lock").take().expect("set");
            looked.send(()).expect("the test waits");
            let go_on = self.go_on.lock().expect("lock").take().expect("set");
            go_on.recv().expect("the test goes on");
        }
        Timestamp::from_secs(time)
    }
}

impl Hesitating {
    fn set(&self, times: &[u64]) -> (oneshot::Receiver<()>, std::sync::mpsc::Sender<()>) {
        let ((looked, was_looked_at), (go_on, receiver)) = (oneshot::channel(), std::sync::mpsc::channel());
        *self.looked.lock().expect("lock") = Some(looked);
        *self.go_on.lock().expect("lock") = Some(receiver);
        self.times.lock().expect("lock").extend(times);
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

const ALL: [Late; 5] = [Late::Touch, Late::Renew, Late::Overwrite, Late::Swap, Late::Rename];

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
        for how in ALL {
            nothing_is_revived(before, of_a_pool, how).await;
        }
    }
}

async fn nothing_is_revived(before: u64, of_a_pool: bool, how: Late) {
    let place = Place::new();
    let clock = Arc::new(Hesitating::default());
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
    let (looked, go_on) = clock.set(&[before]);
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

/// A store on a clock that hesitates, another one on the same file at whose time the session lives, and the session.
async fn about_to_end(place: &Place) -> (Arc<SqliteStore>, Arc<Hesitating>, SqliteStore) {
    let clock = Arc::new(Hesitating::default());
    let slow = place.options().clock(clock.clone()).open().await.expect("open");
    place.clock.set(Timestamp::from_secs(1_999));
    let quick = place.open().await;
    let record = Record::new("{}", Some(Timestamp::from_secs(2_000)));
    quick.insert(&id("user1", "a"), &record).await.expect("insert");
    (Arc::new(slow), clock, quick)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_another_process_prolongs_as_it_is_about_to_end_is_not_gone() {
    for how in ALL {
        let place = Place::new();
        let (slow, clock, quick) = about_to_end(&place).await;
        let (looked, go_on) = clock.set(&[1_999, AFTER]);
        let write = tokio::spawn(async move { late(&slow, how).await });
        looked.await.expect("it looks at its clock");
        let prolonged = quick.touch(&id("user1", "a"), Timestamp::from_secs(9_000)).await;
        assert!(prolonged.expect("nobody holds the lock"));
        go_on.send(()).expect("it waits");
        assert!(write.await.expect("no panic"), "{how:?}: it lives");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_leaves_nobody_out_who_is_prolonged_meanwhile() {
    let place = Place::new();
    let (slow, clock, quick) = about_to_end(&place).await;
    let (looked, go_on) = clock.set(&[AFTER]);
    let scan = tokio::spawn(async move { slow.scan(None, 10).await });
    looked.await.expect("it looks at its clock");
    let prolonged = quick.touch(&id("user1", "a"), Timestamp::from_secs(9_000)).await;
    assert!(prolonged.expect("nobody holds the lock"));
    go_on.send(()).expect("it waits");
    let page = scan.await.expect("no panic").expect("scan");
    assert_eq!(page.entries.len(), 1, "it lives");
}

#[tokio::test]
async fn a_session_that_was_seen_to_expire_stays_ended_when_the_clock_is_turned_back() {
    let place = Place::new();
    let store = place.open().await;
    let later = Timestamp::from_secs(9_000);
    for (number, seen_by) in ["load", "list", "touch", "replace", "swap", "rename", "remove"]
        .into_iter()
        .enumerate()
    {
        place.clock.set(Timestamp::from_secs(1_000));
        let user = format!("user{number}");
        let a = id(&user, "a");
        let short = Record::new("{}", Some(Timestamp::from_secs(1_010)));
        store.insert(&a, &short).await.expect("insert");
        let long = Record::new("{}", Some(Timestamp::from_secs(1_011)));
        store.insert(&id(&user, "b"), &long).await.expect("insert");
        store.insert(&id(&user, "c"), &record("{}")).await.expect("insert");
        let version = version(&store, &a).await;
        place.clock.set(Timestamp::from_secs(1_010));
        let is_gone = |outcome: jam_core::Result<()>| outcome.expect_err("ended").kind() == ErrorKind::NotFound;
        assert!(match seen_by {
            "load" => payload(&store, &a).await.is_none(),
            "list" => store.list(a.key()).await.expect("list").len() == 2,
            "touch" => !store.touch(&a, later).await.expect("touch"),
            "replace" => is_gone(store.replace(&a, None, &record("{}")).await),
            "swap" => is_gone(store.replace(&a, Some(&version), &record("{}")).await),
            "rename" => {
                let (to, record) = (id(&user, "new"), record("{}"));
                is_gone(store.rename(Rename::new(&a, &version, &to, &record)).await)
            }
            _ => !store.remove(&a).await.expect("remove"),
        });
        place.clock.set(Timestamp::from_secs(1_000));
        assert!(payload(&store, &a).await.is_none(), "{seen_by}");
        assert_eq!(store.list(a.key()).await.expect("list").len(), 2);
        let revived = store.replace(&a, None, &record("{}")).await.expect_err("ended");
        assert_eq!(revived.kind(), ErrorKind::NotFound);
        let anew = store.insert(&a, &record("{\"new\":1}")).await;
        anew.expect("a new one of that id");
        assert_eq!(payload(&store, &a).await, Some(b"{\"new\":1}".to_vec()));
    }
    assert_eq!(all(&store).await.len(), 21);
}
