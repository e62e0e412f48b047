//! A way to a connection: one of the store's own, opened again after it broke, or one of the application's pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use crate::transaction::try_to_roll_back;
use crate::trouble;

/// Where a task of the store gets its connection from, for one batch at a time.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    Own {
        connection: Arc<Mutex<Option<SqliteConnection>>>,
        /// How to open it again. A database in memory would be another one then; its only connection is kept.
        reopen: Option<Arc<SqliteConnectOptions>>,
    },
    Pool {
        pool: SqlitePool,
        /// Whether its database is in a file. One in memory is gone with its last connection.
        in_file: bool,
    },
}

/// A connection in use.
#[derive(Debug)]
pub(crate) enum InUse {
    Own(OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>),
    Pool(PoolConnection<Sqlite>),
}

impl Lane {
    pub(crate) fn own(connection: Option<SqliteConnection>, reopen: Option<SqliteConnectOptions>) -> Self {
        Self::Own {
            connection: Arc::new(Mutex::new(connection)),
            reopen: reopen.map(Arc::new),
        }
    }

    /// The connection, opened anew if the last one broke.
    pub(crate) async fn take(&self) -> Result<InUse, sqlx::Error> {
        match self {
            Self::Own { connection, reopen } => {
                let mut slot = Arc::clone(connection).lock_owned().await;
                if let (None, Some(options)) = (&*slot, reopen) {
                    *slot = Some(options.connect().await?);
                }
                let connection = OwnedMutexGuard::try_map(slot, Option::as_mut);
                connection.map(InUse::Own).map_err(|_| sqlx::Error::WorkerCrashed)
            }
            Self::Pool { pool, .. } => {
                let mut connection = pool.acquire().await?;
                // A transaction that the application left open would take a write for its own, which may be undone yet, and show
                // what has ended since it began. Mostly there is none, and SQLite says so.
                match try_to_roll_back(&mut connection).await {
                    Err(error) if trouble::is_busy(&error) => Err(error),
                    _ => Ok(InUse::Pool(connection)),
                }
            }
        }
    }

    /// Drops a connection that may be broken, so that the next one is new.
    pub(crate) async fn give_up(&self, broken: InUse) {
        match (self, broken) {
            (
                Self::Own {
                    connection,
                    reopen: Some(_),
                },
                broken,
            ) => {
                drop(broken);
                *connection.lock().await = None;
            }
            (Self::Pool { in_file: true, .. }, InUse::Pool(mut connection)) => connection.close_on_drop(),
            // The pool itself notices one that is dead.
            (_, InUse::Pool(_) | InUse::Own(_)) => {}
        }
    }

    /// Closes the connection, if it is the store's own.
    pub(crate) async fn close(&self) -> Result<(), sqlx::Error> {
        let Self::Own { connection, .. } = self else {
            return Ok(());
        };
        let connection = connection.lock().await.take();
        match connection {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }
}

impl Deref for InUse {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Pool(connection) => connection,
        }
    }
}

impl DerefMut for InUse {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Pool(connection) => connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Executor;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_given_up_is_replaced_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("a.db"))
            .create_if_missing(true);
        let lane = Lane::own(None, Some(options));
        let mut first = lane.take().await.unwrap();
        // What only this connection knows: a table of its own, and a transaction that nobody has ended.
        first
            .execute("CREATE TEMP TABLE mark (a); BEGIN IMMEDIATE")
            .await
            .unwrap();
        drop(first);
        let mut same = lane.take().await.unwrap();
        same.execute("SELECT * FROM mark").await.unwrap();
        lane.give_up(same).await;
        let mut next = lane.take().await.unwrap();
        assert!(next.execute("SELECT * FROM mark").await.is_err());
        next.execute("BEGIN IMMEDIATE").await.unwrap();
    }

    #[tokio::test]
    async fn the_only_connection_to_a_database_in_memory_is_kept() {
        let connection = SqliteConnectOptions::new().connect().await.unwrap();
        let lane = Lane::own(Some(connection), None);
        let mut first = lane.take().await.unwrap();
        first.execute("CREATE TABLE kept (a)").await.unwrap();
        lane.give_up(first).await;
        lane.take().await.unwrap().execute("SELECT * FROM kept").await.unwrap();
    }
}
