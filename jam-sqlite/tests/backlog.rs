//! A database that answers nobody: what waits for it is bounded, also where its callers have given up.
#![cfg(test)]

mod support;

use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use jam_core::{Error, ErrorKind, Load, Record, SessionStore};
use jam_sqlite::SqliteStore;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use support::*;

const MOST_CALLS: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;

/// A store on a pool whose only connection somebody else can hold.
async fn store() -> (SqlitePool, SqliteStore) {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_hours(1));
    let pool = pool.connect("sqlite::memory:").await.expect("pool");
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    (pool, store)
}

fn assert_too_many(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        error.message().contains("too many") && !error.outcome_unknown(),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_that_hangs_does_not_fill_the_memory_with_writes() {
    let (pool, store) = store().await;
    let large = record(vec![0; MIB]);
    for (record, most) in [(record("{}"), MOST_CALLS), (large, 256)] {
        let held = pool.acquire().await.expect("the connection");
        let record: &Record = &record;
        let ids: Vec<_> = (0..most).map(|number| id("user1", &number.to_string())).collect();
        let mut calls: Vec<_> = ids.iter().map(|id| store.insert(id, record)).collect();
        for call in &mut calls {
            assert!(poll_once(call).await.is_none(), "it waits");
        }
        let one = id("user1", "one");
        let refused = poll_once(store.insert(&one, record)).await.expect("at once");
        assert_too_many(&refused.expect_err("too many wait"));
        drop(calls);
        let refused = poll_once(store.insert(&one, record)).await.expect("at once");
        assert_too_many(&refused.expect_err("they lie there still"));
        // Reads are no writes.
        let mut read = store.load(&one, Load::new());
        assert!(poll_once(&mut read).await.is_none(), "it waits");
        drop(held);
        assert!(read.await.expect("load").is_none(), "it was refused");
        let begun = Instant::now();
        while let Err(error) = store.insert(&one, record).await {
            assert_too_many(&error);
            assert!(begun.elapsed() < Duration::from_mins(1), "they never go");
            tokio::task::yield_now().await;
        }
        assert!(store.remove(&one).await.expect("remove"));
    }
}

#[tokio::test]
async fn a_database_that_hangs_does_not_fill_the_memory_with_reads() {
    let (pool, store) = store().await;
    let one = id("user1", "one");
    let held = pool.acquire().await.expect("the connection");
    let mut calls: Vec<_> = (0..MOST_CALLS).map(|_| store.load(&one, Load::new())).collect();
    for call in &mut calls {
        assert!(poll_once(call).await.is_none(), "it waits");
    }
    let refused = poll_once(store.load(&one, Load::new())).await.expect("at once");
    assert_too_many(&refused.expect_err("too many wait"));
    let refused = poll_once(store.list(&key("user1"))).await.expect("at once");
    assert_too_many(&refused.expect_err("too many wait"));
    drop(held);
    for call in calls {
        assert!(call.await.expect("load").is_none());
    }
    store.insert(&one, &record("{}")).await.expect("insert");
    assert!(payload(&store, &one).await.is_some());
}
