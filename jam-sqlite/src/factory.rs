//! The store by name: from a config or a URL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jam_core::diagnosis::try_out;
use jam_core::{Finding, Result, SessionStore, StoreConfig, StoreFactory};

use crate::{Durability, SqliteOptions, SqliteStore};
use crate::{files, health};

/// Opens a [`SqliteStore`] as `sqlite`.
///
/// | field | meaning | default |
/// |---|---|---|
/// | `sqlite_path` | the file, or `":memory:"`; in a URL, the location does the same: `sqlite:sessions.db`, `sqlite::memory:` | `"sessions.db"` |
/// | `sqlite_table` | the table | `"jam_sessions"` |
/// | `durability` | `"sync"`: a write survives a power cut; `"os"`: a crash of the process | `"sync"` |
/// | `busy_timeout` | how many seconds a write waits for other processes | 10 |
/// | `must_exist` | whether file and table must be there already; else opening makes them | false |
///
/// ```
/// use jam_core::{Registry, StoreConfig};
/// use jam_sqlite::SqliteFactory;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut registry = Registry::new();
/// registry.register(SqliteFactory);
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.db").display().to_string();
/// let config = StoreConfig::from_url(&format!("sqlite:{path}?durability=os"))?;
/// let store = registry.open("sqlite", config).await?;
/// # store.close().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteFactory;

#[async_trait]
impl StoreFactory for SqliteFactory {
    fn names(&self) -> &'static [&'static str] {
        &["sqlite"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        let (_, _, options) = read(config)?;
        Ok(Arc::new(options.open().await?))
    }

    async fn diagnose(&self, config: &mut StoreConfig) -> Result<Vec<Finding>> {
        let (path, durability, options) = read(config)?;
        // Before opening: the last one to close the database removes what a crash left beside it.
        let permissions = Finding::of_files("permissions", Path::new(&path), files::beside(Path::new(&path)));
        let store = match options.open().await {
            Ok(store) => store,
            Err(error) => return Ok([vec![Finding::error("opening", &error)], permissions].concat()),
        };
        let mut findings = vec![durability.finding(), try_out(&store).await];
        findings.extend(permissions);
        if path != MEMORY {
            findings.extend(health::damage(Path::new(&path), health::LOOK).await);
        }
        if let Err(error) = store.close().await {
            findings.push(Finding::error("closing", &error));
        }
        Ok(findings)
    }
}

/// The path of a database in memory.
const MEMORY: &str = ":memory:";

/// What the fields say, all of which are known afterwards, before anything is opened: a mistake in the config shall
/// leave no files behind.
fn read(config: &mut StoreConfig) -> Result<(String, Durability, SqliteOptions)> {
    let location = config.location().map(str::to_owned);
    let path = match (config.string("sqlite_path")?, location) {
        (Some(_), Some(_)) => {
            return Err(config.invalid("sqlite_path", "left out where the URL names a file"));
        }
        (Some(path), None) => path,
        // As sqlx writes it, for those who come from there.
        (None, Some(location)) => location.strip_prefix("//").unwrap_or(&location).to_owned(),
        (None, None) => SqliteStore::DEFAULT_PATH.to_owned(),
    };
    let mut options = match path.as_str() {
        MEMORY => SqliteOptions::in_memory(),
        path => SqliteStore::options(path),
    };
    options = options.clock(config.clock());
    if let Some(table) = config.string("sqlite_table")? {
        options = options.table(table);
    }
    let durability = config.one_of("durability", &Durability::WORDS)?;
    let durability = durability.and_then(Durability::from_word).unwrap_or_default();
    options = options.durability(durability);
    if let Some(seconds) = config.seconds("busy_timeout")? {
        options = options.busy_timeout(seconds.min(Duration::from_hours(24)));
    }
    options = options.must_exist(config.boolean("must_exist")?.unwrap_or(false));
    config.finish()?;
    Ok((path, durability, options))
}
