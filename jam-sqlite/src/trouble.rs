//! From what SQLite or sqlx says to an error that helps: what was tried, why it failed, what to do.

use std::borrow::Cow;
use std::path::Path;

use jam_core::{Error, ErrorKind};

/// SQLite's primary result codes that are told apart.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NO_MEMORY: i32 = 7;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const INTERRUPTED: i32 = 9;
    pub(super) const IO: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const SCHEMA: i32 = 17;
    pub(super) const TOO_BIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

/// The primary result code, if SQLite gave one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Somebody else holds the lock; the same may be tried again.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
}

/// It was told to stop.
pub(crate) fn is_interrupted(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::INTERRUPTED)
}

/// A row of that key is there already, or must not be.
pub(crate) fn is_constraint(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::CONSTRAINT)
}

/// The statement itself is wrong: it names a column or a table that is not there.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), None | Some(code::ERROR))
}

/// Whether the transaction may be found committed after a crash although committing failed: its last bytes were
/// written, but whether they reached the device is not known. Where there was no room, they were not.
pub(crate) fn may_have_been_committed(error: &sqlx::Error) -> bool {
    match primary_code(error) {
        Some(code) => code == code::IO,
        // The connection's thread is gone.
        None => true,
    }
}

/// Whether one call of many may be the reason, so that the others may succeed without it.
pub(crate) fn is_one_calls_own(error: &sqlx::Error) -> bool {
    !matches!(
        primary_code(error),
        None | Some(code::BUSY | code::LOCKED | code::READ_ONLY | code::CANNOT_OPEN | code::NOT_A_DATABASE)
    )
}

/// Whether what is read may be the reason, so that the rest can be read without it.
pub(crate) fn is_in_one_place(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::CORRUPT | code::NO_MEMORY | code::IO))
}

/// Whether the database can be read perhaps, and not be written.
pub(crate) fn refuses_writes(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::READ_ONLY | code::FULL | code::IO))
}

/// Whether a fresh connection may do better.
pub(crate) fn spoils_the_connection(error: &sqlx::Error) -> bool {
    !matches!(
        primary_code(error),
        Some(code::ERROR | code::BUSY | code::LOCKED | code::FULL | code::TOO_BIG | code::CONSTRAINT)
    )
}

/// An operation of the database failed; nothing has changed.
pub(crate) fn failed(what: &'static str, error: sqlx::Error) -> Error {
    let (kind, why) = match (primary_code(&error), &error) {
        (Some(code::BUSY | code::LOCKED), _) => (
            ErrorKind::Unavailable,
            "another process or connection has kept the database locked for too long; try again",
        ),
        (Some(code::FULL), _) => (
            ErrorKind::Unavailable,
            "the disk is full, or the database has reached its largest size; make room",
        ),
        (Some(code::READ_ONLY), _) => (
            ErrorKind::Unavailable,
            "the database is read-only; make the file and its directory writable for this process",
        ),
        (Some(code::CANNOT_OPEN), _) => (
            ErrorKind::Unavailable,
            "the database file cannot be opened; see that it, or its directory, is there and that this process may read \
             and write both",
        ),
        (Some(code::IO), _) => (
            ErrorKind::Unavailable,
            "the file system reports an error; look at the disk and the system's log",
        ),
        (Some(code::NO_MEMORY), _) => (ErrorKind::Unavailable, "there is not enough memory"),
        (Some(code::TOO_BIG), _) => (ErrorKind::InvalidInput, "the data is larger than SQLite can keep"),
        (Some(code::CORRUPT), _) => (
            ErrorKind::Corrupt,
            "the database is damaged; restore it from a backup, or save what is left with `sqlite3 <file> .recover`",
        ),
        (Some(code::NOT_A_DATABASE), _) => (
            ErrorKind::Corrupt,
            "the file is no SQLite database, or is encrypted, or its first page is damaged",
        ),
        (Some(code::SCHEMA), _) => (ErrorKind::Unavailable, "the schema has just changed; try again"),
        (Some(_), _) => (
            ErrorKind::Unexpected,
            "SQLite refuses the statement; was the table changed by something other than jam?",
        ),
        (None, sqlx::Error::PoolTimedOut) => (
            ErrorKind::Unavailable,
            "the application's pool had no free connection in time; make it larger",
        ),
        (None, sqlx::Error::PoolClosed) => (ErrorKind::Unavailable, "the application has closed its pool"),
        (None, sqlx::Error::WorkerCrashed) => (ErrorKind::Unavailable, "the connection's thread has ended; try again"),
        (None, sqlx::Error::Io(_)) => (ErrorKind::Unavailable, "the file system reports an error"),
        (None, _) => (ErrorKind::Unexpected, "the driver reports an error"),
    };
    Error::new(kind, format!("{what} failed: {why}")).with_source(error)
}

/// A file that is there already could not be looked into.
pub(crate) fn opening(error: sqlx::Error) -> Error {
    match primary_code(&error) {
        Some(code::NOT_A_DATABASE) => config(
            "the file is there already and is no SQLite database (or an encrypted one, or one whose first page is \
             damaged); nothing was changed",
        )
        .with_source(error),
        Some(code::ERROR) => Error::new(
            ErrorKind::Corrupt,
            "the database is damaged, or a SQLite newer than this one wrote it; nothing was changed",
        )
        .with_source(error),
        _ => failed("opening the database", error),
    }
}

/// The same error for another caller. The cause stays with the first, its gist is in the message.
pub(crate) fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned());
    if error.outcome_unknown() {
        copy.with_outcome_unknown()
    } else {
        copy
    }
}

/// The same outcome for another caller.
pub(crate) fn for_another(outcome: &Result<(), Error>) -> Result<(), Error> {
    outcome.as_ref().copied().map_err(again)
}

/// A row that no jam wrote.
pub(crate) fn damaged(why: &'static str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("a row of the sessions table is not as jam writes it: {why}"),
    )
}

/// A setting, a file or a table that cannot be used.
pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// A system call on the file failed.
pub(crate) fn file(what: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what} failed ({})", error.kind()))
        .with("path", path.display().to_string())
        .with_source(error)
}

/// The file is another one than was opened.
pub(crate) fn removed() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the database file was removed, moved or replaced while the store was open; put it back, or open the store again",
    )
}

/// A call on a store that was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the SQLite store was closed")
}

/// The callers of most of them have given up. Nothing was done.
pub(crate) fn too_many_wait() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "too many calls wait for the SQLite database: its disk hangs, it stays locked, or it is slower than what is asked of \
         it",
    )
}

/// The task that should answer has ended without doing so: its runtime was shut down.
pub(crate) fn task_gone() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the tasks of the SQLite store have ended with the tokio runtime it was opened on; open it anew",
    )
}

/// An answer of another kind than was asked for.
pub(crate) fn confused() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "a task of the SQLite store gave an answer to another question",
    )
}
