//! What the tests of the SQLite store share.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jam_core::{Load, ManualClock, Record, RecordId, SessionKey, SessionStore, Timestamp, Version};
use jam_sqlite::{Durability, SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tempfile::TempDir;

/// A store in a directory of its own, on a clock that is turned by hand.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("tempdir"),
            clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_000))),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }

    /// Options without syncing: what these tests are about survives a killed process.
    pub(crate) fn options(&self) -> SqliteOptions {
        SqliteStore::options(self.path())
            .clock(self.clock.clone())
            .durability(Durability::Os)
    }

    pub(crate) async fn open(&self) -> SqliteStore {
        self.options().open().await.expect("open")
    }

    /// What a query on the file gives, each row's first column as text.
    pub(crate) async fn query(&self, sql: &str) -> Vec<String> {
        query(&self.path(), sql).await
    }

    /// The names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("read_dir");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    }
}

/// What a query on a database gives, each row's first column as text; as the `sqlite3` shell would show it.
pub(crate) async fn query(path: &Path, sql: &str) -> Vec<String> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("connect");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await
        .expect(sql);
    connection.close().await.expect("close");
    rows.iter()
        .map(|row| match row.try_get_unchecked::<Option<String>, _>(0) {
            Ok(text) => text.unwrap_or_else(|| "NULL".to_owned()),
            Err(error) => format!("{error}"),
        })
        .collect()
}

pub(crate) fn key(key: &str) -> SessionKey {
    SessionKey::new(key).expect("key")
}

pub(crate) fn id(key: &str, id: &str) -> RecordId {
    RecordId::new(self::key(key), id).expect("id")
}

pub(crate) fn record(payload: impl AsRef<[u8]>) -> Record {
    Record::new(payload.as_ref().to_vec(), None)
}

pub(crate) async fn payload(store: &SqliteStore, id: &RecordId) -> Option<Vec<u8>> {
    let stored = store.load(id, Load::new()).await.expect("load")?;
    Some(stored.payload.to_vec())
}

pub(crate) async fn version(store: &SqliteStore, id: &RecordId) -> Version {
    let stored = store.load(id, Load::new()).await.expect("load");
    stored.expect("the record is there").version
}

/// Every record, sorted: key, id, payload, expiry.
pub(crate) async fn all(store: &SqliteStore) -> Vec<(String, String, Vec<u8>, Option<Timestamp>)> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.scan(cursor, 100).await.expect("scan");
        found.extend(page.entries.into_iter().map(|entry| {
            let key = entry.id.key().as_str().to_owned();
            (
                key,
                entry.id.id().to_owned(),
                entry.stored.payload.to_vec(),
                entry.expires_at,
            )
        }));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    found.sort();
    found
}
