//! The blocking half of the store: what its operations share, and reads, which take no lock.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jam_core::{Clock, RecordId, Renewal, Result, Stored, Timestamp};

use super::document::{self, Session};
use super::folder::Folder;
use super::locks::{Held, KeptLocks};
use super::names::{Item, Layout, Name, session_file};
use super::pool::Pool;
use super::scan::Listings;
use super::sweeping::Sweeps;
use super::trouble;
use crate::Durability;
use crate::fs::{Fs, LockFile};
use crate::opener::Opener;

/// The storage directory and how it is used.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) layout: Layout,
    pub(super) durability: Durability,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) listings: Listings,
    pub(super) sweeps: Sweeps,
    pub(super) pool: Pool,
    kept: KeptLocks,
    unsynced: Unsynced,
    /// When the store was opened, nobody but root could create anything in the storage directory.
    pub(super) is_roots_alone: bool,
    closed: AtomicBool,
    opener: Opener,
}

/// What a read without the lock found out.
pub(super) enum Peek {
    /// The answer.
    Done(Option<Stored>),
    /// It has expired, and is to be removed under the lock.
    Expired,
    /// Something is to be written, or the file could not be read: look again under the lock.
    LookAgain,
}

impl Disk {
    pub(super) fn new(fs: Arc<dyn Fs>, layout: Layout, durability: Durability, clock: Arc<dyn Clock>) -> Self {
        #[cfg(unix)]
        let is_roots_alone = crate::owner::is_roots_alone(layout.root());
        #[cfg(not(unix))]
        let is_roots_alone = false;
        Self {
            fs,
            layout,
            durability,
            clock,
            listings: Listings::new(),
            sweeps: Sweeps::default(),
            pool: Pool::new(),
            kept: KeptLocks::for_this_process(),
            unsynced: Unsynced::default(),
            is_roots_alone,
            closed: AtomicBool::new(false),
            opener: Opener::this(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses in a process that was forked off.
    pub(super) fn here(&self) -> Result<()> {
        self.opener.check()
    }

    #[cfg(test)]
    pub(super) fn fork(&mut self) {
        self.opener = self.opener.forked();
    }

    /// Refuses when the store was closed, or the process was forked.
    pub(super) fn open(&self) -> Result<()> {
        self.here()?;
        if self.closed.load(Ordering::Acquire) {
            Err(trouble::closed())
        } else {
            Ok(())
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Closes what was kept open, once nobody works here any more.
    pub(super) fn let_go(&self) {
        self.kept.close();
    }

    #[cfg(all(test, unix))]
    pub(super) fn kept(&self) -> &KeptLocks {
        &self.kept
    }

    /// Gives a record without a lock, if no more than that is to be done.
    pub(super) fn peek(&self, id: &RecordId, renew: Option<Renewal>) -> Result<Peek> {
        let path = session_file(&self.layout.key_dir(Name::of(id.key().as_str())), Name::of(id.id()));
        let Some(bytes) = self.read_bytes(&path)? else {
            self.still_there()?;
            return Ok(Peek::Done(None));
        };
        let Ok(session) = document::read(&bytes, Name::of(id.id()), |found| found == id) else {
            return Ok(Peek::LookAgain);
        };
        let due = renew.is_some_and(|renewal| renewal.is_due(session.record.expires_at));
        Ok(match session.is_live(self.now()) {
            false => Peek::Expired,
            true if due => Peek::LookAgain,
            true => Peek::Done(Some(session.stored())),
        })
    }

    /// The session of this name in this directory, whoever it belongs to.
    ///
    /// # Errors
    /// `Corrupt` also for a file that was read while its session moved away; only under the key's lock it is final.
    pub(super) fn read_named(&self, key_dir: &Path, key: Name, id: Name) -> Result<Option<Session>> {
        let path = session_file(key_dir, id);
        let Some(bytes) = self.read_bytes(&path)? else {
            return Ok(None);
        };
        let is_meant = |found: &RecordId| Name::of(found.id()) == id && Name::of(found.key().as_str()) == key;
        document::read(&bytes, id, is_meant)
            .map(Some)
            .map_err(|damage| trouble::damaged(&path, damage))
    }

    fn read_bytes(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.fs.read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(trouble::failed("reading a session file", path, error)),
        }
    }

    /// What is in a directory; nothing if it is not there.
    pub(super) fn names_in(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let was_there = self.each_in(dir, &mut |path| paths.push(path))?;
        Ok(if was_there { paths } else { Vec::new() })
    }

    /// What of the store is in the storage directory.
    pub(super) fn items(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        // Without their paths, which for a million keys would be a hundred megabytes.
        self.each_in(self.layout.root(), &mut |path| items.extend(self.layout.item(&path)))?;
        Ok(items)
    }

    /// Whether the directory is there, to its end.
    fn each_in(&self, dir: &Path, each: &mut dyn FnMut(PathBuf)) -> Result<bool> {
        match self.fs.each_in_dir(dir, each) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.still_there().map(|()| false),
            Err(error) => Err(trouble::failed("listing a directory", dir, error)),
        }
    }

    /// Says so if what is missing is the whole storage directory: that is no answer about a session.
    pub(super) fn still_there(&self) -> Result<()> {
        let root = self.layout.root();
        match self.fs.exists(root) {
            Ok(true) => Ok(()),
            Ok(false) => Err(trouble::vanished(root)),
            Err(error) => Err(trouble::failed("looking for the storage directory", root, error)),
        }
    }

    /// Takes the lock of a key that need not have had a session yet.
    pub(super) fn lock(&self, key: Name) -> Result<Folder<'_>> {
        match self.try_lock(key)? {
            Some(folder) => Ok(folder),
            None => self.wait_for_lock(key),
        }
    }

    /// Takes the lock of a key if it can have a session: where its lock file is not there it never had one, and made-up
    /// ids leave none behind. (Where the file is there, for another key of the slot, a made-up key costs as much as one that
    /// had sessions once: to end its sessions makes their absence durable.)
    pub(super) fn lock_existing(&self, key: Name) -> Result<Option<Folder<'_>>> {
        let path = self.layout.lock(key.slot());
        let open = || match self.fs.try_lock_existing(&path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        };
        match self.take(key, &path, open) {
            Ok(Some(lock)) => Folder::new(self, key, lock).map(Some),
            Ok(None) => self.wait_for_lock(key).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Where somebody removed the lock file by hand, what it guards is there all the same.
                let dir = self.layout.key_dir(key);
                match self.fs.exists(&dir) {
                    Ok(true) => self.lock(key).map(Some),
                    Ok(false) => self.still_there().map(|()| None),
                    Err(error) => Err(trouble::failed("looking for a session key's directory", &dir, error)),
                }
            }
            Err(error) => Err(trouble::failed("taking the lock of a session key", &path, error)),
        }
    }

    /// Takes the lock of a key if nobody has it.
    pub(super) fn try_lock(&self, key: Name) -> Result<Option<Folder<'_>>> {
        let path = self.layout.lock(key.slot());
        match self.take(key, &path, || self.fs.try_lock(&path)) {
            Ok(Some(lock)) => Folder::new(self, key, lock).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(trouble::failed("taking the lock of a session key", &path, error)),
        }
    }

    /// The lock if nobody has it: by the file that is kept open, or else by one that is opened.
    fn take(
        &self,
        key: Name,
        path: &Path,
        open: impl FnOnce() -> io::Result<Option<LockFile>>,
    ) -> io::Result<Option<Held<'_>>> {
        let again = match self.kept.take(key.slot()) {
            Some(kept) => self.fs.lock_again(kept, path)?,
            None => None,
        };
        let lock = match again {
            Some(lock) => Some(lock),
            None => open()?,
        };
        Ok(lock.map(|lock| Held::new(&self.kept, key.slot(), lock)))
    }

    fn wait_for_lock(&self, key: Name) -> Result<Folder<'_>> {
        let path = self.layout.lock(key.slot());
        match self.pool.wait(|| self.fs.lock(&path)) {
            Ok(lock) => Folder::new(self, key, Held::new(&self.kept, key.slot(), lock)),
            Err(error) => Err(trouble::failed("taking the lock of a session key", &path, error)),
        }
    }

    /// Makes the names in a directory durable before anything is built on them.
    pub(super) fn sync_before_write(&self, dir: &Path) -> Result<()> {
        self.sync_dir(dir)
            .map_err(|error| trouble::failed("syncing a directory before a write", dir, error))
    }

    /// Makes the names in a directory durable after a write that is already in place.
    pub(super) fn sync_after_write(&self, dir: &Path) -> Result<()> {
        self.sync_dir(dir).map_err(|error| trouble::not_durable(dir, error))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.durability == Durability::Os {
            return Ok(());
        }
        let synced = self.pool.wait(|| self.fs.sync_dir(dir));
        if synced.is_err() {
            self.unsynced.add(dir);
        }
        synced
    }

    /// Makes up for a sync of this directory that failed before: until it has succeeded, what one sees there may not
    /// last, and no answer may be built on it. Some systems forget what they could not write and then call a sync of
    /// nothing a success, so the directory is changed first.
    pub(super) fn settle(&self, dir: &Path) -> Result<()> {
        if !self.unsynced.any.load(Ordering::Acquire) {
            return Ok(());
        }
        // Held while syncing, so that nobody takes the directory for settled before it is.
        let mut dirs = self.unsynced.lock();
        if dirs.contains(dir) {
            match self.dirty(dir).and_then(|()| self.fs.sync_dir(dir)) {
                Ok(()) => {}
                // A directory that is gone holds nothing to sync.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(trouble::failed("syncing a directory once more", dir, error)),
            }
            dirs.remove(dir);
            self.unsynced.any.store(!dirs.is_empty(), Ordering::Release);
        }
        Ok(())
    }

    fn dirty(&self, dir: &Path) -> io::Result<()> {
        let dirt = self.layout.dirt(dir);
        match self.fs.create_new(&dirt) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match self.fs.remove_file(&dirt) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a file, and tells whether it was there.
    pub(super) fn unlink(&self, path: &Path) -> Result<bool> {
        match self.fs.remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(trouble::failed("removing a file of the store", path, error)),
        }
    }
}

/// Directories whose last sync failed.
#[derive(Debug, Default)]
struct Unsynced {
    any: AtomicBool,
    dirs: Mutex<BTreeSet<PathBuf>>,
}

impl Unsynced {
    fn add(&self, dir: &Path) {
        let mut dirs = self.lock();
        dirs.insert(dir.to_owned());
        self.any.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
