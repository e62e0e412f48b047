//! A way to a connection: one of the store's own, opened again after it broke, or one of the application's pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

/// Where a task of the store gets its connection from, for one batch at a time.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    Own {
        connection: Arc<Mutex<Option<SqliteConnection>>>,
        /// How to open it again. A database in memory would be another one then; its only connection is kept.
        reopen: Option<Arc<SqliteConnectOptions>>,
    },
    Pool(SqlitePool),
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
            Self::Pool(pool) => Ok(InUse::Pool(pool.acquire().await?)),
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
            (_, InUse::Pool(mut connection)) => connection.close_on_drop(),
            (_, InUse::Own(_)) => {}
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
