//! The files of a database that the store owns, and how connections to it are set.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jam_core::{Error, ErrorKind, Result};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::Durability;
use crate::space::Space;
use crate::trouble::{self, config};

/// A file, and how connections to it are set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    path: PathBuf,
    durability: Durability,
    patience: Duration,
    /// The memory for pages that each connection may keep, in bytes.
    page_cache: usize,
}

impl Settings {
    /// The shortest page there is.
    const LEAST_BYTES: u64 = 512;

    /// # Errors
    /// `Config` if no database can have that path.
    pub(crate) fn new(path: &Path, durability: Durability, patience: Duration, page_cache: usize) -> Result<Self> {
        if path.to_str().is_none_or(|path| path.contains('\0')) {
            return Err(config("the database's path must be UTF-8 without NUL"));
        }
        if path.as_os_str().is_empty() || path.is_dir() {
            return Err(config("the database's path must be that of a file").with("path", path.display().to_string()));
        }
        // Absolute, so that a later change of the working directory moves nothing.
        let path = std::path::absolute(path).map_err(|error| trouble::file("finding the database", path, error))?;
        Ok(Self {
            path,
            durability,
            patience: patience.min(Duration::from_hours(24)),
            page_cache,
        })
    }

    /// Makes an empty file that its owner alone may read and write, if there is none; SQLite gives the files beside it
    /// the same mode and owner. What root makes in a directory of another user is that user's, so that a look as root shuts no
    /// service out of its own sessions.
    pub(crate) fn make_file(&self) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&self.path) {
            Ok(made) => {
                hand_over(&made, &self.path);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.check_length(),
            Err(error) => Err(trouble::file("making the database file", &self.path, error)),
        }
    }

    /// Looks for the file and makes none.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub(crate) fn find_file(&self) -> Result<()> {
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let missing = Error::new(ErrorKind::NotFound, "there is no database file");
                Err(missing.with("path", self.path.display().to_string()))
            }
            _ => self.check_length(),
        }
    }

    /// SQLite takes a file that was cut off near its beginning for a new one. (Opening the file here, to look at what is
    /// in it, would take away the locks that other connections of this process have on it.)
    fn check_length(&self) -> Result<()> {
        match std::fs::metadata(&self.path).map(|file| file.len()) {
            Ok(1..Self::LEAST_BYTES) => Err(Error::new(
                ErrorKind::Corrupt,
                "the file is there already and is too short for a database; nothing was changed",
            )
            .with("path", self.path.display().to_string())),
            Ok(_) => Ok(()),
            Err(error) => Err(trouble::file("looking at the database file", &self.path, error)),
        }
    }

    /// Makes the file's own name durable, whichever process gave it.
    pub(crate) fn sync_directory(&self) -> Result<()> {
        let real = behind_links(&self.path);
        let Some(parent) = real
            .parent()
            .filter(|_| cfg!(unix) && self.durability != Durability::Os)
        else {
            return Ok(());
        };
        match File::open(parent).and_then(|directory| directory.sync_all()) {
            // Where this process may not even read, somebody else made the file, and not just now.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                Err(trouble::file("syncing the directory of the database", parent, error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn space(&self) -> Space {
        Space::of_file(self.path.clone())
    }

    pub(crate) fn for_writing(&self) -> SqliteConnectOptions {
        self.for_reading()
            .pragma("wal_autocheckpoint", Space::CHECKPOINT_PAGES.to_string())
            .pragma("busy_timeout", Space::TURN_MILLIS.to_string())
    }

    pub(crate) fn for_reading(&self) -> SqliteConnectOptions {
        let (synchronous, full) = match self.durability {
            Durability::Os => ("NORMAL", "OFF"),
            _ => ("FULL", "ON"),
        };
        quiet(SqliteConnectOptions::new())
            .filename(&self.path)
            // Made before; one that has vanished since is an error and not a new database without sessions.
            .create_if_missing(false)
            .busy_timeout(self.patience)
            .pragma("synchronous", synchronous)
            // Where a sync does not reach the device, as on macOS.
            .pragma("fullfsync", full)
            .pragma("checkpoint_fullfsync", full)
            .pragma("cache_size", format!("-{}", self.page_cache / 1024))
            .pragma("journal_size_limit", (16 * 1024 * 1024).to_string())
    }
}

/// The file that a path leads to, beside which SQLite keeps the others.
pub(crate) fn behind_links(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The files that SQLite keeps beside a database: its write-ahead log and what belongs to it, or a rollback journal. The
/// logs hold sessions.
pub(crate) fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    let database = behind_links(path);
    ["-wal", "-shm", "-journal"].into_iter().map(move |suffix| {
        let mut name = database.clone().into_os_string();
        name.push(suffix);
        name.into()
    })
}

/// A database in memory.
pub(crate) fn in_memory() -> SqliteConnectOptions {
    quiet(SqliteConnectOptions::new().filename(":memory:"))
}

/// With room for the rows of a batch on their way, and nothing logged.
fn quiet(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.row_buffer_size(1024).disable_statement_logging()
}

/// Gives a file that was just made, and is root's, to the owner of its directory.
#[cfg(unix)]
fn hand_over(made: &File, path: &Path) {
    use std::os::unix::fs::{MetadataExt, fchown};
    const ROOT: u32 = 0;
    let owner = || {
        let directory = path.parent()?.metadata().ok()?;
        (made.metadata().ok()?.uid() == ROOT && directory.uid() != ROOT).then_some(directory)
    };
    let Some(directory) = owner() else { return };
    // A root without that right, as in some containers, can use the database all the same.
    if let Err(error) = fchown(made, Some(directory.uid()), Some(directory.gid())) {
        tracing::debug!(
            path = %path.display(),
            error = &error as &dyn std::error::Error,
            "a file stays root's in a directory of another user"
        );
    }
}

#[cfg(not(unix))]
fn hand_over(_: &File, _: &Path) {}

#[cfg(test)]
mod tests {
    use sqlx::{Executor, Row};

    use super::*;

    #[tokio::test]
    async fn every_connection_syncs_as_durability_asks() {
        let folder = tempfile::tempdir().unwrap();
        for (durability, synchronous) in [(Durability::Sync, 2), (Durability::Os, 1)] {
            let settings =
                Settings::new(&folder.path().join("sessions.db"), durability, Duration::ZERO, 1 << 20).unwrap();
            settings.make_file().unwrap();
            for options in [settings.for_reading(), settings.for_writing()] {
                let mut connection = options.connect().await.unwrap();
                let row = connection.fetch_one("PRAGMA synchronous").await.unwrap();
                assert_eq!(row.get::<i64, _>(0), synchronous);
            }
        }
    }
}
