//! How a `JsonDir` is opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jam_core::{Clock, Error, ErrorKind, Result, SystemClock};

use super::disk::Disk;
use super::names::Layout;
use super::{JsonDir, default_dir, sweep, trouble};
use crate::Durability;
use crate::fs::{Fs, RealFs};

/// What a [`JsonDir`] is opened with. Made by [`JsonDir::options`].
///
/// ```no_run
/// # async fn example() -> jam_core::Result<()> {
/// use jam_json::{Durability, JsonDir};
///
/// let store = JsonDir::options()
///     .storage_path("/var/lib/shop/sessions")
///     .file_prefix("shop_")
///     .durability(Durability::Os)
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open` is called"]
pub struct JsonDirOptions {
    storage_path: Option<PathBuf>,
    file_prefix: String,
    durability: Durability,
    clock: Arc<dyn Clock>,
    fs: Arc<dyn Fs>,
}

impl JsonDirOptions {
    /// The longest file prefix, in bytes.
    pub const MAX_PREFIX_LEN: usize = 64;

    pub(super) fn new() -> Self {
        Self {
            storage_path: None,
            file_prefix: "jam_".to_owned(),
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
            fs: Arc::new(RealFs),
        }
    }

    /// The storage directory. It is created (mode 0700) if it is not there; the directory it lies in must be. With
    /// [`Durability::Sync`] that one is synced, too, so this process must be allowed to read it if it creates something
    /// there.
    ///
    /// By default `jam-sessions` in the system's temporary directory. Since everybody may put things there, that one is
    /// refused if it is a link, belongs to somebody else or lets others write to it, and so is a temporary directory in
    /// which somebody else but root could rename it. Many systems empty their temporary directory at a restart.
    pub fn storage_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage_path = Some(path.into());
        self
    }

    /// What the name of everything in the storage directory begins with, `"jam_"` by default: stores of different
    /// prefixes can share a directory. ASCII letters, digits, `_`, `-` and `.`, at most
    /// [`MAX_PREFIX_LEN`](Self::MAX_PREFIX_LEN) of them; it may be empty.
    pub fn file_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.file_prefix = prefix.into();
        self
    }

    /// What an acknowledged write survives, [`Durability::Sync`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The clock that expiry is judged by, the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The file system to work on.
    #[cfg(test)]
    pub(super) fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// Opens the store, and removes what crashed writers left behind.
    ///
    /// # Errors
    /// - [`Config`](ErrorKind::Config) if the prefix is none, the storage path is no directory and cannot become one,
    ///   or the default directory may have been planted by another user.
    /// - [`Unavailable`](ErrorKind::Unavailable) if the directory cannot be read or synced, or leftovers in it not be
    ///   removed.
    pub async fn open(self) -> Result<JsonDir> {
        check_prefix(&self.file_prefix)?;
        let disk = blocking::unblock(move || self.open_disk()).await?;
        Ok(JsonDir::on(disk))
    }

    fn open_disk(self) -> Result<Disk> {
        let root = match self.storage_path {
            Some(path) => create(&*self.fs, path, self.durability)?,
            None => create_default(&*self.fs, std::env::temp_dir(), self.durability)?,
        };
        let layout = Layout::new(root, self.file_prefix);
        let disk = Disk::new(self.fs, layout, self.durability, self.clock);
        // Whatever a crashed process created there becomes durable before anybody builds on it.
        if disk.durability != Durability::Os {
            let root = disk.layout.root();
            let synced = disk.fs.sync_dir(root);
            synced.map_err(|error| trouble::failed("syncing the storage directory", root, error))?;
        }
        sweep::leftovers(&disk)?;
        Ok(disk)
    }
}

fn create(fs: &dyn Fs, path: PathBuf, durability: Durability) -> Result<PathBuf> {
    let path = absolute(path);
    let was_there = fs.exists(&path).unwrap_or(false);
    fs.create_dir(&path).map_err(|error| {
        Error::new(
            ErrorKind::Config,
            "`storage_path` is no directory and cannot be made one; name a directory, in one that is there and that this \
             process may write to",
        )
        .with("path", path.display().to_string())
        .with_source(error)
    })?;
    sync_parent(fs, &path, was_there, durability)?;
    Ok(path)
}

fn create_default(fs: &dyn Fs, parent: PathBuf, durability: Durability) -> Result<PathBuf> {
    let parent = absolute(parent);
    let was_there = parent.join(default_dir::NAME).exists();
    let path = default_dir::prepare(&parent)?;
    sync_parent(fs, &path, was_there, durability)?;
    Ok(path)
}

/// So that a later change of the working directory moves nothing.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Makes the storage directory's own name durable, whichever process gave it.
fn sync_parent(fs: &dyn Fs, path: &Path, was_there: bool, durability: Durability) -> Result<()> {
    let Some(parent) = path.parent().filter(|_| durability != Durability::Os) else {
        return Ok(());
    };
    match fs.sync_dir(parent) {
        Ok(()) => Ok(()),
        // Where this process may not even read, somebody else made the directory, and not just now.
        Err(error) if was_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => {
            if !was_there {
                // Else the next one to open it would take it for durable.
                let _ = fs.remove_dir(path);
            }
            let what = "syncing the directory that the storage directory lies in";
            Err(trouble::failed(what, parent, error))
        }
    }
}

fn check_prefix(prefix: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if prefix.len() <= JsonDirOptions::MAX_PREFIX_LEN && prefix.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "`file_prefix` must be at most {} ASCII letters, digits, `_`, `-` or `.`, such as `jam_`",
            JsonDirOptions::MAX_PREFIX_LEN
        ),
    ))
}
