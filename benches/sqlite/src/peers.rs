//! Other session stores on SQLite: two of tower-sessions', on sqlx and on rusqlite, and that of axum_session.

use std::path::Path;
use std::time::Duration;

use axum_session_sqlx::SessionSqlitePool;
use jam_bench_harness::{About, Contestant, Failure, Local};
use tower_sessions_rusqlite_store::{RusqliteStore, tokio_rusqlite};
use tower_sessions_sqlx_store::{SqliteStore, sqlx as older_sqlx};

use crate::Settings;
use crate::axum_session::AxumSession;

jam_bench_harness::tower_library!(tower_sessions_core);

/// More patience than sqlx has by default: 64 tasks would meet `database is locked` otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pragmas, for one that only fills, or for the measurement.
fn pragmas(settings: Settings, fills: bool) -> Vec<(&'static str, &'static str)> {
    let synchronous = match settings {
        _ if fills => "OFF",
        Settings::Full => "FULL",
        Settings::Normal => "NORMAL",
        Settings::Default => return Vec::new(),
    };
    match settings {
        Settings::Default => vec![("synchronous", synchronous)],
        _ => vec![("journal_mode", "WAL"), ("synchronous", synchronous)],
    }
}

pub(crate) async fn sqlx(path: &Path, settings: Settings) -> Result<Box<dyn Contestant>, Failure> {
    use older_sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    let open = async |fills| {
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(PATIENCE);
        for (name, value) in pragmas(settings, fills) {
            options = options.pragma(name, value);
        }
        let store = SqliteStore::new(SqlitePoolOptions::new().connect_with(options).await?);
        store.migrate().await?;
        let words = format!(
            "{}; sqlx's pool as it comes, but for a busy timeout of 60 s",
            settings.words()
        );
        Ok::<_, Failure>(Tower::new(About::peer("tower-sessions-sqlx-store", &words), store))
    };
    Ok(Local::filled_by(open(true).await?, open(false).await?))
}

pub(crate) async fn rusqlite(path: &Path, settings: Settings) -> Result<Box<dyn Contestant>, Failure> {
    let open = async |fills| {
        let connection = tokio_rusqlite::Connection::open(path).await?;
        connection
            .call(move |connection| {
                connection.busy_timeout(PATIENCE)?;
                for (name, value) in pragmas(settings, fills) {
                    connection.pragma_update(None, name, value)?;
                }
                Ok(())
            })
            .await?;
        let store = RusqliteStore::new(connection);
        store.migrate().await?;
        let words = format!("{}; one connection on a thread of its own", settings.words());
        Ok::<_, Failure>(Tower::new(About::peer("tower-sessions-rusqlite-store", &words), store))
    };
    Ok(Local::filled_by(open(true).await?, open(false).await?))
}

pub(crate) async fn axum_session(path: &Path, settings: Settings) -> Result<Box<dyn Contestant>, Failure> {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    let open = async |fills| {
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(PATIENCE);
        for (name, value) in pragmas(settings, fills) {
            options = options.pragma(name, value);
        }
        let pool = SqlitePoolOptions::new().connect_with(options).await?;
        let words = format!(
            "{}; sqlx's pool as it comes, but for a busy timeout of 60 s",
            settings.words()
        );
        AxumSession::open(About::peer("axum_session_sqlx", &words), SessionSqlitePool::from(pool)).await
    };
    Ok(Local::filled_by(open(true).await?, open(false).await?))
}
