//! Whether the structure of a database is sound, for a diagnosis: a page that nobody has read yet may be damaged.

use std::path::Path;
use std::time::{Duration, Instant};

use jam_core::Finding;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, Row, SqliteConnection};

use crate::trouble;

/// How long a diagnosis looks, so that a file of many gigabytes does not hold it up.
pub(crate) const LOOK: Duration = Duration::from_secs(10);

/// How many steps SQLite takes before it asks whether to go on.
const STEPS: i32 = 100;

/// What is wrong with the file at this path, if that is seen within this time.
pub(crate) async fn damage(path: &Path, time: Duration) -> Option<Finding> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = match options.disable_statement_logging().connect().await {
        Ok(connection) => connection,
        Err(error) => return Some(Finding::error("structure", &trouble::opening(error))),
    };
    let found = match first_fault(&mut connection, time).await {
        Ok(fault) => fault.map(|fault| {
            Finding::wrong(
                "structure",
                format!("the database is damaged: {fault}"),
                "restore it from a backup, or save what is left with `sqlite3 <file> .recover`",
            )
        }),
        Err(error) if trouble::is_interrupted(&error) => None,
        Err(error) => Some(Finding::error(
            "structure",
            &trouble::failed("looking at the database's structure", error),
        )),
    };
    let _ = connection.close().await;
    found
}

async fn first_fault(connection: &mut SqliteConnection, time: Duration) -> Result<Option<String>, sqlx::Error> {
    let began = Instant::now();
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(STEPS, move || began.elapsed() < time);
    drop(handle);
    let row = connection.fetch_one("PRAGMA quick_check(1)").await?;
    let said: String = row.try_get(0)?;
    // Above it may be which of the attached databases it is.
    let last = said.lines().last().unwrap_or_default();
    Ok((said != "ok").then(|| last.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_takes_longer_to_look_at_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let fill = "CREATE TABLE a (b INTEGER CHECK (b > 0)); \
                    INSERT INTO a WITH n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT 10000) SELECT n FROM n; \
                    PRAGMA ignore_check_constraints = ON; INSERT INTO a VALUES (-1)";
        let mut connection = options.connect().await.unwrap();
        connection.execute(fill).await.unwrap();
        assert!(damage(&path, LOOK).await.is_some(), "the last row is wrong");
        assert!(damage(&path, Duration::ZERO).await.is_none(), "nothing was looked at");
    }
}
