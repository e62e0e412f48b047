//! What keeps the files from growing: a short log, and free pages that go back to the file system.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Executor, Row, SqliteConnection};

use crate::files::behind_links;

/// The files of a database that the store owns. A database of the application's, and one in memory, have none.
#[derive(Debug)]
pub(crate) struct Space {
    log: Option<Log>,
}

/// Which file the database was when it was opened. SQLite goes on with one that was removed or replaced: what is written is lost,
/// and what is read knows nothing of what others end in the file that is there now.
#[derive(Clone, Debug)]
pub(crate) struct Original {
    path: PathBuf,
    identity: Option<Identity>,
}

impl Original {
    fn of_file(path: PathBuf) -> Self {
        Self {
            identity: identity(&path),
            path,
        }
    }

    /// Whether the database is still the file at its path.
    pub(crate) fn is_in_place(&self) -> bool {
        identity(&self.path) == self.identity
    }
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    original: Original,
    /// How long it may be before it is cut; longer while others keep it from being cut.
    allowed: u64,
    batches: u32,
}

impl Space {
    /// The log's length, in pages, at which SQLite begins to move its content into the database.
    pub(crate) const CHECKPOINT_PAGES: u32 = 2000;
    /// The log's length at which writes wait until it is cut.
    const MOST_LOG_BYTES: u64 = 64 * 1024 * 1024;
    /// How long writes wait for readers then, and how often.
    const READERS_MILLIS: u32 = 40;
    const TRIES: u32 = 5;
    /// How long SQLite itself waits for a lock before the writer asks again. Short, since SQLite waits ever longer, and
    /// whoever asks seldom never gets a lock that others take all the time.
    pub(crate) const TURN_MILLIS: u32 = 4;
    /// How often the length is looked at.
    const LOOK_EVERY: u32 = 64;
    /// Free pages that stay in the file for what comes next: so many, or a quarter of the file if that is more.
    const KEPT_PAGES: i64 = 256;
    /// Pages that are given back in one step, which holds the lock.
    const STEP_PAGES: i64 = 256;

    pub(crate) fn of_file(database: PathBuf) -> Self {
        let mut log = behind_links(&database).into_os_string();
        log.push("-wal");
        Self {
            log: Some(Log {
                path: log.into(),
                original: Original::of_file(database),
                allowed: Self::MOST_LOG_BYTES,
                batches: 0,
            }),
        }
    }

    /// Not the store's business.
    pub(crate) const fn unowned() -> Self {
        Self { log: None }
    }

    /// Which file the store has opened, if it is the store's own.
    pub(crate) fn original(&self) -> Option<&Original> {
        self.log.as_ref().map(|log| &log.original)
    }

    /// Whether the log has grown beyond what is allowed. That happens when readers follow each other without a gap, for
    /// it begins anew only when nobody reads from it.
    pub(crate) fn log_is_long(&mut self) -> bool {
        let Some(log) = &mut self.log else { return false };
        log.batches += 1;
        if log.batches < Self::LOOK_EVERY {
            return false;
        }
        log.batches = 0;
        std::fs::metadata(&log.path).is_ok_and(|file| file.len() > log.allowed)
    }

    /// Moves the log into the database and cuts it, with writes waiting and no reader kept from reading.
    pub(crate) async fn truncate_log(&mut self, connection: &mut SqliteConnection) {
        let Some(log) = &mut self.log else { return };
        // With more patience than a write has: who reads now has to come to an end, and nobody new reads from the log.
        // SQLite may wait for a reader that has long begun anew, so several short waits succeed where a long one fails.
        set_patience(connection, Self::READERS_MILLIS).await;
        let mut busy = true;
        for _ in 0..Self::TRIES {
            let cut = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
            let row = connection.fetch_one(cut).await.and_then(|row| row.try_get::<i64, _>(0));
            busy = row.unwrap_or(1) != 0;
            if !busy {
                break;
            }
        }
        set_patience(connection, Self::TURN_MILLIS).await;
        let length = std::fs::metadata(&log.path).map_or(0, |file| file.len());
        // Somebody reads from it for long, in another process perhaps. Try again when it has grown by a quarter.
        log.allowed = if busy {
            length + length / 4
        } else {
            Self::MOST_LOG_BYTES
        };
    }

    /// Gives some free pages back to the file system, and tells whether there are more to give.
    pub(crate) async fn shrink(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        if self.log.is_none() {
            return Ok(false);
        }
        let free = number(connection, "PRAGMA freelist_count").await?;
        let kept = Self::KEPT_PAGES.max(number(connection, "PRAGMA page_count").await? / 4);
        if free <= kept + Self::STEP_PAGES {
            return Ok(false);
        }
        connection
            .execute(sqlx::query("PRAGMA incremental_vacuum(256)"))
            .await?;
        Ok(number(connection, "PRAGMA freelist_count").await? < free)
    }

    /// Moves the log into the database, unless another process still uses it.
    pub(crate) async fn rest(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.log.is_some() {
            connection
                .execute(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)"))
                .await?;
        }
        Ok(())
    }
}

/// What tells a file from another one of the same name.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

/// If it fails, the statement after it says so.
async fn set_patience(connection: &mut SqliteConnection, millis: u32) {
    let _ = connection
        .execute(AssertSqlSafe(format!("PRAGMA busy_timeout = {millis}")))
        .await;
}

async fn number(connection: &mut SqliteConnection, pragma: &'static str) -> Result<i64, sqlx::Error> {
    connection.fetch_one(sqlx::query(pragma)).await?.try_get(0)
}

#[cfg(all(test, unix))]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    #[tokio::test]
    async fn the_log_is_watched_where_sqlite_keeps_it_behind_a_link() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let link = other.path().join("link.db");
        std::os::unix::fs::symlink(folder.path().join("sessions.db"), &link).unwrap();
        let options = SqliteConnectOptions::new().filename(&link).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        let write = "PRAGMA journal_mode = WAL; CREATE TABLE a (b)";
        connection.execute(write).await.unwrap();
        let space = Space::of_file(link);
        assert!(std::fs::metadata(space.log.unwrap().path).unwrap().len() > 0);
    }
}
