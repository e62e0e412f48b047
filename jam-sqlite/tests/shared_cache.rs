//! A database in memory whose connections share a cache: a transaction that the application has open keeps the store out
//! of it, for as long as a call may wait and no longer.
#![cfg(test)]

mod support;

use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use jam_core::{ErrorKind, Load, Result, SessionStore, Timestamp};
use jam_sqlite::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};
use support::*;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_millis(100);

async fn pool() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(4);
    let pool = pool.connect("sqlite::memory:").await.expect("pool");
    let own = sqlx::raw_sql("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    own.execute(&pool).await.expect("create");
    pool
}

async fn open(pool: &SqlitePool, patience: Duration) -> SqliteStore {
    let options = SqliteOptions::from_pool(pool.clone()).busy_timeout(patience);
    options.open().await.expect("open")
}

/// A transaction of the application's that has done this.
async fn begun(pool: &SqlitePool, sql: &'static str) -> Transaction<'static, Sqlite> {
    let mut transaction = pool.begin().await.expect("begin");
    let work = sqlx::raw_sql(sql).execute(&mut *transaction).await;
    work.expect(sql);
    transaction
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(5), call).await.expect("it ends")
}

/// That this call tries as long as it may, and then says why it cannot.
async fn is_locked<T>(what: &str, call: impl Future<Output = Result<T>>) {
    let began = Instant::now();
    let Err(error) = in_time(call).await else {
        panic!("{what}: the database is locked");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
    assert!(error.message().contains("locked"), "{what}: {error}");
    assert!(began.elapsed() >= PATIENCE, "{what}: it gave up at once");
}

#[tokio::test]
async fn who_writes_within_a_transaction_of_the_application_waits_for_itself_no_longer_than_it_may() {
    let pool = pool().await;
    let store = open(&pool, PATIENCE).await;
    let (a, b) = (id("user1", "a"), id("user1", "b"));
    store.insert(&a, &record("{}")).await.expect("insert");
    let transaction = begun(&pool, "INSERT INTO orders VALUES (1)").await;
    is_locked("alone", store.insert(&b, &record("{}"))).await;
    is_locked("together", store.clear(&key("user1"))).await;
    assert!(in_time(payload(&store, &a)).await.is_some(), "that table is not locked");
    transaction.commit().await.expect("commit");
    store.insert(&b, &record("{}")).await.expect("nobody holds the lock");
}

#[tokio::test]
async fn reads_of_what_a_transaction_has_changed_wait_for_it_no_longer_than_they_may() {
    let pool = pool().await;
    let store = open(&pool, PATIENCE).await;
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    let transaction = begun(&pool, "UPDATE jam_sessions SET data = '[]'").await;
    is_locked("load", store.load(&a, Load::new())).await;
    is_locked("list", store.list(&key("user1"))).await;
    is_locked("scan", store.scan(None, 10)).await;
    transaction.rollback().await.expect("rollback");
    assert_eq!(payload(&store, &a).await, Some(b"{}".to_vec()));
}

#[tokio::test]
async fn writes_to_what_a_transaction_has_read_wait_for_it_no_longer_than_they_may() {
    let pool = pool().await;
    let store = open(&pool, PATIENCE).await;
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    let transaction = begun(&pool, "SELECT * FROM jam_sessions").await;
    is_locked("alone", store.touch(&a, Timestamp::MAX)).await;
    is_locked("together", store.clear(&key("user1"))).await;
    transaction.commit().await.expect("commit");
    assert_eq!(store.clear(&key("user1")).await.expect("clear"), 1);
}

#[tokio::test]
async fn calls_that_wait_for_a_transaction_go_on_when_it_has_ended() {
    let pool = pool().await;
    let store = open(&pool, Duration::from_mins(1)).await;
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    let transaction = begun(&pool, "UPDATE jam_sessions SET data = '[]'").await;
    let (mut load, all) = (store.load(&a, Load::new()), key("user1"));
    let mut list = store.list(&all);
    let mut clear = store.clear(&all);
    assert!(timeout(PATIENCE, &mut load).await.is_err(), "it waits");
    assert!(timeout(PATIENCE, &mut list).await.is_err(), "it waits");
    assert!(timeout(PATIENCE, &mut clear).await.is_err(), "it waits");
    transaction.rollback().await.expect("rollback");
    in_time(load).await.expect("load");
    in_time(list).await.expect("list");
    assert_eq!(in_time(clear).await.expect("clear"), 1);
}

#[tokio::test]
async fn a_store_is_opened_used_and_closed_in_time_while_a_transaction_changes_the_tables() {
    let pool = pool().await;
    let store = open(&pool, PATIENCE).await;
    let a = id("user1", "a");
    let transaction = begun(&pool, "CREATE TABLE more (id INTEGER PRIMARY KEY)").await;
    let another = || SqliteOptions::from_pool(pool.clone()).table("more_sessions");
    is_locked("open", another().busy_timeout(PATIENCE).open()).await;
    is_locked("insert", store.insert(&a, &record("{}"))).await;
    is_locked("load", store.load(&a, Load::new())).await;
    in_time(store.close()).await.expect("close");
    let mut opening = Box::pin(another().open());
    assert!(poll_once(&mut opening).await.is_none());
    transaction.commit().await.expect("commit");
    in_time(opening).await.expect("nobody holds the lock");
}
