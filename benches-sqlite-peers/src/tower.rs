//! The stores of tower-sessions, on sqlx and on rusqlite.

use std::str::FromStr;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_rusqlite_store::{RusqliteStore, tokio_rusqlite};
use tower_sessions_sqlx_store::SqliteStore;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};

use crate::contestant::{Contestant, Operation};
use crate::{Failure, STORED, Settings, data};

struct Ids {
    stored: Mutex<Vec<Id>>,
    created: Mutex<Vec<Id>>,
    _directory: TempDir,
}

impl Ids {
    fn new(directory: TempDir) -> Self {
        Self {
            stored: Mutex::default(),
            created: Mutex::default(),
            _directory: directory,
        }
    }

    fn stored(&self, number: usize) -> Id {
        self.stored.lock().unwrap()[number.wrapping_mul(7919) % STORED]
    }

    async fn run(&self, store: &impl SessionStore, operation: Operation, number: usize) -> Result<(), Failure> {
        match operation {
            Operation::Fill | Operation::Create => {
                let mut record = record(Id::default());
                store.create(&mut record).await?;
                let kept = if operation == Operation::Fill {
                    &self.stored
                } else {
                    &self.created
                };
                kept.lock().unwrap().push(record.id);
            }
            Operation::Get => drop(store.load(&self.stored(number)).await?.ok_or("lost")?),
            Operation::Update => store.save(&record(self.stored(number))).await?,
            Operation::Delete => {
                let id = self.created.lock().unwrap().pop().ok_or("nothing to delete")?;
                store.delete(&id).await?;
            }
        }
        Ok(())
    }
}

fn record(id: Id) -> Record {
    let Value::Object(data) = data() else {
        unreachable!("it is an object")
    };
    let data = data.into_iter().collect();
    Record {
        id,
        data,
        expiry_date: OffsetDateTime::now_utc() + Duration::hours(1),
    }
}

pub(crate) struct Sqlx {
    store: SqliteStore,
    ids: Ids,
}

impl Sqlx {
    pub(crate) async fn open(directory: TempDir, settings: Settings) -> Result<Self, Failure> {
        let path = directory.path().join("sessions.db");
        let mut options =
            SqliteConnectOptions::from_str(&format!("sqlite:{}", path.display()))?.create_if_missing(true);
        if settings != Settings::Default {
            let synchronous = match settings {
                Settings::Normal => SqliteSynchronous::Normal,
                _ => SqliteSynchronous::Full,
            };
            options = options.journal_mode(SqliteJournalMode::Wal).synchronous(synchronous);
        }
        // More patience than sqlx has by default: 64 tasks would meet `database is locked` otherwise.
        options = options.busy_timeout(std::time::Duration::from_secs(60));
        let store = SqliteStore::new(SqlitePoolOptions::new().connect_with(options).await?);
        store.migrate().await?;
        Ok(Self {
            store,
            ids: Ids::new(directory),
        })
    }
}

#[async_trait]
impl Contestant for Sqlx {
    fn name(&self) -> &'static str {
        "tower-sessions-sqlx-store"
    }

    fn is_slow(&self, settings: Settings) -> bool {
        settings != Settings::Normal
    }

    async fn run(&self, operation: Operation, number: usize) -> Result<(), Failure> {
        self.ids.run(&self.store, operation, number).await
    }
}

pub(crate) struct Rusqlite {
    store: RusqliteStore,
    ids: Ids,
}

impl Rusqlite {
    pub(crate) async fn open(directory: TempDir, settings: Settings) -> Result<Self, Failure> {
        let connection = tokio_rusqlite::Connection::open(directory.path().join("sessions.db")).await?;
        let synchronous = if settings == Settings::Normal { "NORMAL" } else { "FULL" };
        let set = move |connection: &mut rusqlite::Connection| {
            if settings != Settings::Default {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", synchronous)?;
            }
            Ok(())
        };
        connection.call(set).await?;
        let store = RusqliteStore::new(connection);
        store.migrate().await?;
        Ok(Self {
            store,
            ids: Ids::new(directory),
        })
    }
}

#[async_trait]
impl Contestant for Rusqlite {
    fn name(&self) -> &'static str {
        "tower-sessions-rusqlite-store"
    }

    fn is_slow(&self, settings: Settings) -> bool {
        settings != Settings::Normal
    }

    async fn run(&self, operation: Operation, number: usize) -> Result<(), Failure> {
        self.ids.run(&self.store, operation, number).await
    }
}
