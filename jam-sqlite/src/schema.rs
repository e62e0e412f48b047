//! The tables: made in a database that has none, checked in one that has, brought up to date when a later jam needs it.

use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};

use crate::patience::breathe;
use crate::table::TableName;
use crate::trouble::{self, config};

/// The version of the tables that this jam writes.
pub(crate) const VERSION: i64 = 1;

/// What the index and the trigger of a table are called after.
const SWEEP: &str = "sweep";
const EARLIER: &str = "earlier";

/// `jam` and the version of the file's layout, in the header of a file that jam made.
const APPLICATION_ID: &str = "PRAGMA application_id = 0x6a616d31";

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A file for the sessions alone.
    Jam,
    /// A database in memory.
    Memory,
    /// The application's, which shares it.
    Application,
}

/// Makes the tables or checks them. Where they `must_exist`, none is made.
///
/// # Errors
/// `NotFound` if they must be there and are not; `Config` if the file, or a table of that name, is somebody else's; `Unsupported` if a later jam made it.
pub(crate) async fn prepare(
    connection: &mut SqliteConnection,
    table: &TableName,
    owner: Owner,
    must_exist: bool,
    patience: Duration,
) -> Result<()> {
    let since = Instant::now();
    loop {
        let began = Instant::now();
        match make_or_check(connection, table, owner, must_exist).await {
            Err(Halted::Database(error)) if trouble::is_busy(&error) && since.elapsed() < patience => {
                breathe(began).await;
            }
            Err(Halted::Database(error)) => return Err(trouble::opening(error)),
            Err(Halted::Refused(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

enum Halted {
    Database(sqlx::Error),
    Refused(Error),
}

impl From<sqlx::Error> for Halted {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Halted {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

async fn make_or_check(
    connection: &mut SqliteConnection,
    table: &TableName,
    owner: Owner,
    must_exist: bool,
) -> Result<(), Halted> {
    let encoding: String = one(connection, "PRAGMA encoding").await?;
    if encoding != "UTF-8" {
        let message = format!("the database keeps text as {encoding}; jam needs one that keeps UTF-8");
        return Err(Error::new(ErrorKind::Unsupported, message).into());
    }
    // Looked at before anything is changed.
    let tables: i64 = one(connection, "SELECT count(*) FROM sqlite_schema").await?;
    let known = exists(connection, TableName::SCHEMA).await?;
    if owner == Owner::Jam {
        if tables > 0 && !known {
            return Err(config(
                "the database holds somebody else's tables and none of jam's; name a file for the sessions alone, or \
                 share the application's pool with `SqliteStore::from_pool`; nothing was changed",
            )
            .into());
        }
        if tables == 0 && !must_exist {
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL").await?;
            connection.execute(APPLICATION_ID).await?;
        }
        if !known && must_exist {
            return Err(missing(connection, table, known).await?.into());
        }
        let mode: String = one(connection, "PRAGMA journal_mode = WAL").await?;
        if mode != "wal" {
            let message = "SQLite cannot keep a write-ahead log there: the file system, a network's perhaps, lacks shared \
                           memory; keep the sessions on a local disk";
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
    }
    if known && check(connection, table).await? {
        return Ok(());
    }
    if must_exist {
        return Err(missing(connection, table, known).await?.into());
    }
    // As a transaction that sqlx knows of: where this future is dropped, it is rolled back before anybody else has the connection,
    // which may be one of the application's pool.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    match make(&mut transaction, table).await {
        Ok(()) => Ok(transaction.commit().await?),
        Err(halted) => {
            // Waited for: who hears of the error finds nobody at work on the database. Where this fails, the drop does it.
            let _ = transaction.rollback().await;
            Err(halted)
        }
    }
}

/// That the table is not there, with those of jam that are.
async fn missing(connection: &mut SqliteConnection, table: &TableName, known: bool) -> Result<Error, sqlx::Error> {
    let mut names = Vec::new();
    if known {
        let look = "SELECT table_name FROM jam_schema ORDER BY table_name LIMIT 20";
        for row in connection.fetch_all(look).await? {
            names.push(row.try_get::<String, _>(0)?);
        }
    }
    let there = if names.is_empty() {
        "none at all".to_owned()
    } else {
        names.join(", ")
    };
    let message = format!("the database has no table {table} with sessions; those it has: {there}");
    Ok(Error::new(ErrorKind::NotFound, message))
}

/// Whether the table is there, of this version and shape.
async fn check(connection: &mut SqliteConnection, table: &TableName) -> Result<bool, Halted> {
    let version = sqlx::query("SELECT version FROM jam_schema WHERE table_name = ?").bind(table.as_str());
    let row = connection
        .fetch_optional(version)
        .await
        .map_err(|error| misshapen(TableName::SCHEMA, error))?;
    let Some(row) = row else { return Ok(false) };
    let version: i64 = row.try_get(0).map_err(|error| misshapen(TableName::SCHEMA, error))?;
    if version > VERSION {
        let message = format!(
            "the table {table} is of version {version}, which a later jam made; this one knows versions up to {VERSION}"
        );
        return Err(Error::new(ErrorKind::Unsupported, message).into());
    }
    let columns = format!("SELECT session_key, session_id, data, expires_at, sweep_at FROM {table} LIMIT 0");
    let shape = connection.execute(AssertSqlSafe(columns)).await;
    shape.map_err(|error| misshapen(table.as_str(), error))?;
    Ok(true)
}

async fn make(connection: &mut SqliteConnection, table: &TableName) -> Result<(), Halted> {
    // Another process may have made it just now.
    if exists(connection, TableName::SCHEMA).await? {
        if check(connection, table).await? {
            return Ok(());
        }
    } else {
        let schema = "CREATE TABLE jam_schema (table_name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, \
                      version INTEGER NOT NULL)";
        connection.execute(schema).await?;
    }
    for name in [
        table.as_str().to_owned(),
        table.belonging(SWEEP),
        table.belonging(EARLIER),
    ] {
        if exists(connection, &name).await? {
            return Err(config(format!(
                "there is a table, index or trigger `{name}` already that jam did not make for the table {table}; choose \
                 another name; nothing was changed"
            ))
            .into());
        }
    }
    connection.execute(AssertSqlSafe(create_table(table))).await?;
    connection.execute(AssertSqlSafe(create_index(table))).await?;
    connection.execute(AssertSqlSafe(create_trigger(table))).await?;
    let note = sqlx::query("INSERT INTO jam_schema (table_name, version) VALUES (?, ?)");
    connection.execute(note.bind(table.as_str()).bind(VERSION)).await?;
    Ok(())
}

/// Written so that whoever asks `sqlite3` for the schema can read it.
fn create_table(table: &TableName) -> String {
    format!(
        "CREATE TABLE {table} (
  session_key TEXT NOT NULL, -- whose session
  session_id TEXT NOT NULL, -- where jam keeps it; with hashed ids no secret
  data TEXT NOT NULL, -- the session's JSON object as text, anything else (sealed data) as a blob
  expires_at INTEGER, -- milliseconds since 1970 UTC; NULL: never
  sweep_at INTEGER DEFAULT 0, -- when a sweep looks at it, which then sets the next time; not after expires_at
  PRIMARY KEY (session_key, session_id)
)"
    )
}

/// Over the time of the next look and not over the expiry, which moves with every request: moving it in an index would
/// cost as much as the rest of an update.
fn create_index(table: &TableName) -> String {
    format!(
        "CREATE INDEX \"{}\" ON {table} (sweep_at) WHERE sweep_at IS NOT NULL",
        table.belonging(SWEEP)
    )
}

/// For the rare expiry that comes earlier than was thought.
fn create_trigger(table: &TableName) -> String {
    format!(
        "CREATE TRIGGER \"{}\" AFTER UPDATE OF expires_at ON {table}
WHEN NEW.expires_at IS NOT NULL AND (OLD.sweep_at IS NULL OR NEW.expires_at < OLD.sweep_at)
BEGIN
  UPDATE {table} SET sweep_at = NEW.expires_at WHERE rowid = NEW.rowid;
END",
        table.belonging(EARLIER)
    )
}

async fn exists(connection: &mut SqliteConnection, name: &str) -> Result<bool, sqlx::Error> {
    let look = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE").bind(name);
    Ok(connection.fetch_optional(look).await?.is_some())
}

fn misshapen(table: &str, error: sqlx::Error) -> Halted {
    if trouble::is_refused(&error) {
        let message = format!("the table `{table}` is not as jam makes it; nothing was changed");
        Halted::Refused(config(message).with_source(error))
    } else {
        Halted::Database(error)
    }
}

/// How the connections of a pool are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long they wait for a lock by themselves.
    pub(crate) waits: Duration,
    /// Whether their database is in a file.
    pub(crate) in_file: bool,
}

/// How this connection is, and with it those of its pool.
pub(crate) async fn manner(connection: &mut SqliteConnection) -> Result<Manner, sqlx::Error> {
    let millis: i64 = one(connection, "PRAGMA busy_timeout").await?;
    let main = "SELECT coalesce(max(file), '') FROM pragma_database_list WHERE name = 'main'";
    let file: String = one(connection, main).await?;
    Ok(Manner {
        waits: Duration::from_millis(millis.try_into().unwrap_or(0)),
        in_file: !file.is_empty(),
    })
}

async fn one<T>(connection: &mut SqliteConnection, sql: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    connection.fetch_one(sql).await?.try_get(0)
}
