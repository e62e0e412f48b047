//! What both raw contestants share: jam's table, and its statements.

use std::path::Path;

use jam_bench_harness::{Failure, user};
use jam_core::{Clock, SystemClock};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::Settings;

/// Whose, and which.
pub(crate) type Place = (String, String);

pub(crate) fn place(number: usize) -> Place {
    (user(number), id())
}

pub(crate) fn id() -> String {
    format!("{}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA", Uuid::new_v4())
}

pub(crate) enum Change {
    Insert(String),
    Replace(String),
    Move(String),
    Remove,
}

/// A connection, to a database with the table.
pub(crate) fn connect(path: &Path, synchronous: &str) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.set_prepared_statement_cache_capacity(16);
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS sessions (session_key TEXT NOT NULL, session_id TEXT NOT NULL, data TEXT NOT NULL, \
         expires_at INTEGER, PRIMARY KEY (session_key, session_id)); \
         CREATE INDEX IF NOT EXISTS expires_at ON sessions (expires_at) WHERE expires_at IS NOT NULL",
    )?;
    Ok(connection)
}

pub(crate) fn synchronous(settings: Settings) -> &'static str {
    if settings == Settings::Normal { "NORMAL" } else { "FULL" }
}

fn now() -> i64 {
    i64::try_from(SystemClock.now().as_millis()).unwrap_or(i64::MAX)
}

/// Whether it changed what it should.
pub(crate) fn change(connection: &Connection, (key, id): &Place, change: &Change) -> rusqlite::Result<bool> {
    let expires_at = now() + 3_600_000;
    let changed = match change {
        Change::Insert(data) => connection
            .prepare_cached("INSERT INTO sessions VALUES (?, ?, ?, ?)")?
            .execute(params![key, id, data, expires_at]),
        Change::Replace(data) => connection
            .prepare_cached("UPDATE sessions SET data = ?, expires_at = ? WHERE session_key = ? AND session_id = ?")?
            .execute(params![data, expires_at, key, id]),
        Change::Move(to) => connection
            .prepare_cached(
                "UPDATE sessions SET session_id = ?, expires_at = ? WHERE session_key = ? AND session_id = ?",
            )?
            .execute(params![to, expires_at, key, id]),
        Change::Remove => connection
            .prepare_cached("DELETE FROM sessions WHERE session_key = ? AND session_id = ?")?
            .execute(params![key, id]),
    };
    Ok(changed? == 1)
}

pub(crate) fn read(connection: &Connection, (key, id): &Place) -> Result<String, Failure> {
    let mut find = connection.prepare_cached(
        "SELECT data FROM sessions WHERE session_key = ? AND session_id = ? AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let found = find.query_row(params![key, id, now()], |row| row.get(0)).optional()?;
    Ok(found.ok_or("lost")?)
}

pub(crate) fn list(connection: &Connection, key: &str) -> Result<Vec<Place>, Failure> {
    let mut find = connection.prepare_cached(
        "SELECT session_id, data FROM sessions WHERE session_key = ? AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let rows = find.query_map(params![key, now()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
