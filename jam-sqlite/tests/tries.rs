//! While others keep the database locked, and its connections are set to wait for nothing, the store does not try again and
//! again without a pause.
#![cfg(test)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jam_core::{ErrorKind, SessionStore};
use jam_sqlite::SqliteOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, SqlitePool};
use support::*;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const PATIENCE: Duration = Duration::from_millis(100);
/// There are 2 ms between two tries, and a try is at most eight statements.
const MOST: usize = 400;

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

/// Counts the statements that sqlx notes.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        STATEMENTS.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// How many statements a call makes that fails since the database is locked.
async fn statements(what: &str, call: impl Future<Output = jam_core::Result<()>>) {
    STATEMENTS.store(0, Ordering::Relaxed);
    let error = call.await.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
    let tried = STATEMENTS.load(Ordering::Relaxed);
    assert!((1..=MOST).contains(&tried), "{what}: {tried} statements");
}

/// One test, for the statements of all are counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_locked_database_is_not_tried_again_without_a_pause() {
    tracing::subscriber::set_global_default(Counter).expect("the only one");
    let folder = tempfile::tempdir().expect("tempdir");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::ZERO);
    let other = SqlitePool::connect_with(options.clone()).await.expect("pool");
    let pool = SqlitePoolOptions::new().max_connections(1);
    let noted = options.log_statements("trace".parse().expect("a level"));
    let pool = pool.connect_with(noted).await.expect("pool");
    let open = |table: &str| {
        let options = SqliteOptions::from_pool(pool.clone()).busy_timeout(PATIENCE);
        options.table(table).open()
    };
    let store = open("sessions").await.expect("nobody holds the lock");

    let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let one = id("user1", "one");
    statements("a call alone", store.insert(&one, &record("{}"))).await;
    statements("a transaction", async { store.clear(&key("user1")).await.map(drop) }).await;
    statements("an opening", async { open("others").await.map(drop) }).await;
    lock.rollback().await.expect("rollback");
    store.insert(&one, &record("{}")).await.expect("nobody holds the lock");
}
