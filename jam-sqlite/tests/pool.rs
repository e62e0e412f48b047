//! A store on the application's own pool.
#![cfg(test)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use jam_core::{Load, Record, SessionStore, Timestamp};
use jam_sqlite::SqliteStore;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use support::*;

/// Everything that many tasks do at once, with reads among the writes.
async fn at_once(pool: SqlitePool) {
    let store = Arc::new(SqliteStore::from_pool(pool).await.expect("open"));
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let user = format!("user{}", task % 4);
                for number in 0..20 {
                    let a = id(&user, &format!("{task} {number}"));
                    store.insert(&a, &record("{}")).await.expect("insert");
                    assert!(payload(&store, &a).await.is_some());
                    let listed = store.list(&key(&user)).await.expect("list");
                    assert!(listed.iter().any(|entry| entry.id == a));
                    assert!(store.remove(&a).await.expect("remove"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert!(all(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_one_connection_is_enough() {
    let pool = SqlitePoolOptions::new().max_connections(1);
    at_once(pool.connect("sqlite::memory:").await.expect("pool")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_in_memory_may_have_many_connections() {
    at_once(SqlitePool::connect("sqlite::memory:").await.expect("pool")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_without_a_write_ahead_log_is_slower_and_works() {
    let folder = tempfile::tempdir().expect("tempdir");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Delete);
    at_once(SqlitePool::connect_with(options).await.expect("pool")).await;
}

/// The pool's connection is somebody else's in the next moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_opening_that_is_given_up_leaves_no_transaction_behind() {
    let folder = tempfile::tempdir().expect("tempdir");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let other = SqlitePool::connect_with(options.clone()).await.expect("pool");
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.expect("pool");
    let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let opening = tokio::time::timeout(Duration::from_millis(300), SqliteStore::from_pool(pool.clone()));
    assert!(opening.await.is_err(), "it waits for the lock");
    lock.rollback().await.expect("rollback");
    let row = sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    row.execute(&pool).await.expect("the connection is as it was");
    let lock = other.begin_with("BEGIN IMMEDIATE").await;
    lock.expect("nobody else has the lock")
        .rollback()
        .await
        .expect("rollback");
    let tables = query(&folder.path().join("app.db"), "SELECT name FROM sqlite_schema").await;
    assert_eq!(tables, ["orders"]);
    SqliteStore::from_pool(pool).await.expect("open");
}

/// With the pool's only connection such a database is gone.
#[tokio::test]
async fn what_the_database_refuses_costs_an_application_in_memory_nothing() {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.expect("pool");
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    let (kept, refused) = (id("user1", "kept"), id("refused", "a"));
    store.insert(&kept, &record("{}")).await.expect("insert");
    let own = "CREATE TABLE orders (id INTEGER PRIMARY KEY); \
               CREATE TRIGGER picky BEFORE INSERT ON jam_sessions WHEN NEW.session_key = 'refused' \
               BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    sqlx::raw_sql(own).execute(&pool).await.expect("create");
    store.insert(&refused, &record("{}")).await.expect_err("a constraint");
    assert!(payload(&store, &kept).await.is_some());
    // A statement that is wrong: the writer's, and the readers'.
    let broken = "DROP TRIGGER picky; ALTER TABLE jam_sessions RENAME COLUMN data TO dates";
    sqlx::raw_sql(broken).execute(&pool).await.expect("alter");
    store.insert(&refused, &record("{}")).await.expect_err("no such column");
    store.load(&kept, Load::new()).await.expect_err("no such column");
    let mended = "ALTER TABLE jam_sessions RENAME COLUMN dates TO data; INSERT INTO orders VALUES (1)";
    sqlx::raw_sql(mended)
        .execute(&pool)
        .await
        .expect("the tables are there");
    assert!(payload(&store, &kept).await.is_some());
    let setting = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&pool).await.expect(sql);
    };
    setting("PRAGMA query_only = ON").await;
    store.insert(&refused, &record("{}")).await.expect_err("read-only");
    setting("PRAGMA query_only = OFF").await;
    assert!(payload(&store, &kept).await.is_some());
    store.insert(&refused, &record("{}")).await.expect("writable again");
}

/// An application that forgot to end its own: what it takes along when it goes was never acknowledged.
#[tokio::test]
async fn a_transaction_that_was_left_open_in_a_pool_is_ended() {
    let folder = tempfile::tempdir().expect("tempdir");
    let options = SqliteConnectOptions::new().filename(folder.path().join("app.db"));
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options.create_if_missing(true)).await.expect("pool");
    let left_open = async || {
        sqlx::raw_sql("BEGIN").execute(&pool).await.expect("begin");
    };
    left_open().await;
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    let (a, b) = (id("user1", "a"), id("user1", "b"));
    left_open().await;
    store.insert(&a, &record("{}")).await.expect("insert");
    left_open().await;
    store.insert(&b, &record("{}")).await.expect("insert");
    left_open().await;
    assert!(store.remove(&a).await.expect("remove"));
    let _ = sqlx::raw_sql("ROLLBACK").execute(&pool).await;
    assert!(payload(&store, &a).await.is_none(), "it has come back");
    assert!(payload(&store, &b).await.is_some(), "it is lost");
    left_open().await;
    assert_eq!(store.clear(&key("user1")).await.expect("clear"), 1);
}

/// The first read within a transaction settles what all of them see.
#[tokio::test]
async fn a_transaction_that_was_left_open_in_a_pool_shows_nothing_that_has_ended() {
    let folder = tempfile::tempdir().expect("tempdir");
    let options = SqliteConnectOptions::new().filename(folder.path().join("app.db"));
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let one = || SqlitePoolOptions::new().max_connections(1);
    let pool = one().connect_with(options.clone()).await.expect("pool");
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    let elsewhere = one().connect_with(options).await.expect("pool");
    let elsewhere = SqliteStore::from_pool(elsewhere).await.expect("open");
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    sqlx::raw_sql("BEGIN").execute(&pool).await.expect("begin");
    assert!(payload(&store, &a).await.is_some());
    assert!(elsewhere.remove(&a).await.expect("remove"));
    assert!(payload(&store, &a).await.is_none(), "it has ended");
    assert!(store.list(&key("user1")).await.expect("list").is_empty());
}

#[tokio::test]
async fn free_pages_of_an_application_go_when_its_own_setting_says() {
    let folder = tempfile::tempdir().expect("tempdir");
    for (setting, of_itself) in [(SqliteAutoVacuum::Full, true), (SqliteAutoVacuum::Incremental, false)] {
        let path = folder.path().join(format!("{setting:?}.db"));
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let options = options.auto_vacuum(setting).journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options).await.expect("pool");
        let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
        let fill = Record::new(vec![b'x'; 4_000_000], Some(Timestamp::from_secs(1)));
        store.insert(&id("user1", "a"), &fill).await.expect("insert");
        assert_eq!(store.remove_expired(Timestamp::from_secs(2)).await.expect("sweep"), 1);
        let free = query(&path, "PRAGMA freelist_count").await;
        assert_eq!(free == ["0"], of_itself, "{setting:?}: {free:?}");
        let vacuum = sqlx::raw_sql("PRAGMA incremental_vacuum").execute(&pool).await;
        vacuum.expect("the application's own");
        assert_eq!(query(&path, "PRAGMA freelist_count").await, ["0"]);
    }
}

#[tokio::test]
async fn an_application_shares_its_pool_and_its_database_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("app.db");
    let pool = SqlitePool::connect(&format!("sqlite:{}?mode=rwc", path.display()))
        .await
        .expect("pool");
    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        .execute(&pool)
        .await
        .expect("create");
    let before = query(
        &path,
        "PRAGMA journal_mode; PRAGMA application_id; PRAGMA user_version; PRAGMA auto_vacuum",
    )
    .await;
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    let a = id("user1", "a");
    store.insert(&a, &record("{\"n\":1}")).await.expect("insert");
    let seen = version(&store, &a).await;
    store
        .replace(&a, Some(&seen), &record("{\"n\":2}"))
        .await
        .expect("replace");
    let joined = "SELECT data ->> '$.n' FROM jam_sessions LEFT JOIN orders ON false";
    assert_eq!(query(&path, joined).await, ["2"]);
    store.close().await.expect("close");
    sqlx::query("INSERT INTO orders VALUES (1)")
        .execute(&pool)
        .await
        .expect("the pool goes on");
    let after = query(
        &path,
        "PRAGMA journal_mode; PRAGMA application_id; PRAGMA user_version; PRAGMA auto_vacuum",
    )
    .await;
    assert_eq!(before, after);
    pool.close().await;
}
