//! Another connection keeps the database locked: no call waits for longer than it may, whoever is queued before it.
#![cfg(test)]

mod support;

use std::time::{Duration, Instant};
#[cfg(unix)]
use std::{pin::pin, sync::Arc};

use futures_lite::future::poll_once;
#[cfg(unix)]
use jam_core::{Clock, Record, Timestamp};
use jam_core::{Error, ErrorKind, SessionStore};
use jam_sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use support::*;

async fn lock(place: &Place) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(place.path());
    let mut other = options.connect().await.expect("connect");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("begin");
    other
}

async fn unlock(mut other: SqliteConnection) {
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("rollback");
}

async fn open(place: &Place, patience: Duration) -> SqliteStore {
    place.options().busy_timeout(patience).open().await.expect("open")
}

fn assert_locked(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("locked") && !error.outcome_unknown(),
        "{error}"
    );
}

#[tokio::test]
async fn thousands_of_writes_that_wait_for_a_lock_and_the_close_behind_them_end_together() {
    let place = Place::new();
    let patience = Duration::from_millis(500);
    let store = open(&place, patience).await;
    let other = lock(&place).await;
    let began = Instant::now();
    let ids: Vec<_> = (0..2_048).map(|number| id("user1", &number.to_string())).collect();
    let record = record("{}");
    let mut calls: Vec<_> = ids.iter().map(|id| store.insert(id, &record)).collect();
    for call in &mut calls {
        // Now it is queued.
        assert!(poll_once(call).await.is_none());
    }
    store.close().await.expect("close");
    for call in calls {
        assert_locked(&call.await.expect_err("locked"));
    }
    let took = began.elapsed();
    assert!(took >= patience, "{took:?}");
    // They are eight batches.
    assert!(took < patience * 5, "{took:?}");
    unlock(other).await;
    assert_eq!(place.query("SELECT count(*) FROM jam_sessions").await, ["0"]);
}

#[tokio::test]
async fn a_call_that_shares_a_batch_with_an_older_one_waits_for_as_long_as_it_may_itself() {
    let place = Place::new();
    let patience = Duration::from_secs(2);
    let store = open(&place, patience).await;
    let other = lock(&place).await;
    let record = record("{}");
    let (a, b, c) = (id("user1", "a"), id("user1", "b"), id("user1", "c"));
    let mut first = store.insert(&a, &record);
    assert!(poll_once(&mut first).await.is_none());
    // The writer takes it alone, so that the next two are a batch.
    tokio::time::sleep(patience / 40).await;
    let mut older = store.insert(&b, &record);
    assert!(poll_once(&mut older).await.is_none());
    tokio::time::sleep(patience / 2).await;
    let mut younger = store.insert(&c, &record);
    assert!(poll_once(&mut younger).await.is_none());
    assert_locked(&first.await.expect_err("locked"));
    assert_locked(&older.await.expect_err("locked"));
    unlock(other).await;
    younger.await.expect("it had time left");
}

#[tokio::test]
async fn without_any_patience_a_write_is_tried_once_and_again_when_it_is_asked_for_again() {
    let place = Place::new();
    let store = open(&place, Duration::ZERO).await;
    let a = id("user1", "a");
    let other = lock(&place).await;
    for _ in 0..3 {
        assert_locked(&store.insert(&a, &record("{}")).await.expect_err("locked"));
    }
    unlock(other).await;
    store.insert(&a, &record("{}")).await.expect("nobody holds the lock");
}

/// A clock that tells that it was looked at.
#[cfg(unix)]
#[derive(Debug, Default)]
struct Watched(tokio::sync::Notify);

#[cfg(unix)]
impl Clock for Watched {
    fn now(&self) -> Timestamp {
        self.0.notify_one();
        Timestamp::from_secs(1_000)
    }
}

#[cfg(unix)]
impl Watched {
    async fn was_looked_at(&self) {
        let looked = tokio::time::timeout(Duration::from_secs(10), self.0.notified());
        looked.await.expect("it is looked at");
    }
}

/// Decided alone, and together: what ends within a minute.
#[cfg(unix)]
#[tokio::test]
async fn no_write_is_acknowledged_into_a_file_that_was_removed_while_it_waited_for_a_lock() {
    for alone in [true, false] {
        let place = Place::new();
        let clock = Arc::new(Watched::default());
        let store = place.options().clock(clock.clone()).open().await.expect("open");
        let (a, b) = (id("user1", "a"), id("user1", "b"));
        let soon_over = Record::new("{}", Some(Timestamp::from_secs(1_010)));
        store.insert(&a, &soon_over).await.expect("insert");
        clock.was_looked_at().await;
        let other = lock(&place).await;
        let write = async {
            if alone {
                store.insert(&b, &record("{}")).await
            } else {
                store.touch(&a, Timestamp::from_secs(1_020)).await.map(drop)
            }
        };
        let mut write = pin!(write);
        assert!(poll_once(write.as_mut()).await.is_none());
        // The writer is at work on it, and has found the file in its place.
        clock.was_looked_at().await;
        let aside = place.folder.path().join("aside.db");
        std::fs::rename(place.path(), &aside).expect("rename");
        unlock(other).await;
        let error = write.await.expect_err("it went into the file that was removed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().contains("removed") && error.outcome_unknown(),
            "alone: {alone}: {error}"
        );
        std::fs::rename(&aside, place.path()).expect("rename");
        assert!(payload(&store, &a).await.is_some(), "it is back");
    }
}
