//! The sessions of one key while its lock is held: every write happens here.

use std::io;
use std::path::{Path, PathBuf};

use jam_core::{Entry, Error, ErrorKind, Record, RecordId, Renewal, Result, Stored, Timestamp, Version};

use super::disk::Disk;
use super::document::{self, Session};
use super::locks::Held;
use super::names::{Name, session_file, session_name, temp_file};
use super::trouble;
use crate::Durability;
use crate::fs::FsFile;

/// The directory of a key, and the right to change it: no other process or thread has it while this is alive.
pub(super) struct Folder<'a> {
    pub(super) disk: &'a Disk,
    pub(super) key: Name,
    pub(super) dir: PathBuf,
    /// What root creates here is root's to keep: the storage directory was its own when the store was opened, and the lock
    /// file still is, whoever was given the rest of it since. To ask each time whose this directory is would cost a twelfth of
    /// what an update does.
    is_roots: bool,
    _lock: Option<Held<'a>>,
}

/// Whether the directory that a file is to be put into is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// It holds the session that is written.
    There,
    /// The session may be its first.
    MayBeMissing,
}

impl<'a> Folder<'a> {
    /// What is seen here is answered for, so a sync that failed earlier is made up for first.
    pub(super) fn new(disk: &'a Disk, key: Name, lock: Held<'a>) -> Result<Self> {
        let is_roots = disk.is_roots_alone && lock.is_roots();
        Self::with(disk, key, is_roots, Some(lock))
    }

    /// The directory of another key of the same slot, whose lock is held as long as this one is.
    pub(super) fn beside(&self, key: Name) -> Result<Folder<'_>> {
        debug_assert_eq!(self.key.slot(), key.slot());
        Folder::with(self.disk, key, self.is_roots, None)
    }

    fn with(disk: &'a Disk, key: Name, is_roots: bool, lock: Option<Held<'a>>) -> Result<Self> {
        let dir = disk.layout.key_dir(key);
        disk.settle(disk.layout.root())?;
        disk.settle(&dir)?;
        Ok(Self {
            disk,
            key,
            dir,
            is_roots,
            _lock: lock,
        })
    }

    pub(super) fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        // To ask whether there is a file costs half of what it costs to find none to open.
        let file = self.file(id);
        let is_there = self.disk.fs.exists(&file);
        let is_there = is_there.map_err(|error| trouble::failed("looking for a session file", &file, error))?;
        if is_there && self.live(id)?.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if self.disk.durability == Durability::Os {
            // Nothing is synced, so that it is made only where it turns out to be missing.
            return self.put_at(&file, Home::MayBeMissing, id, record);
        }
        self.prepare()?;
        self.put_at(&file, Home::There, id, record)
    }

    pub(super) fn load(&self, id: &RecordId, renew: Option<Renewal>) -> Result<Option<Stored>> {
        let Some(session) = self.live_or_removed(id)? else {
            return Ok(None);
        };
        if let Some(renewal) = renew.filter(|renewal| renewal.is_due(session.record.expires_at)) {
            self.put(id, &Record::new(session.record.payload.clone(), Some(renewal.to)))?;
            return Ok(Some(session.stored().ending(Some(renewal.to).into())));
        }
        Ok(Some(session.stored()))
    }

    pub(super) fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.expect(id, expected)?;
        self.put(id, record)
    }

    pub(super) fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let Some(session) = self.live_or_removed(id)? else {
            return Ok(false);
        };
        if session.record.expires_at.is_some_and(|at| at < expires_at) {
            self.put(id, &Record::new(session.record.payload, Some(expires_at)))?;
        }
        Ok(true)
    }

    pub(super) fn remove(&self, id: &RecordId) -> Result<bool> {
        let was_live = match self.read(id) {
            Ok(None) => return self.sync_miss().map(|()| false),
            Ok(Some(session)) => session.is_live(self.disk.now()),
            // Ending a session must work for one that is damaged or cannot be read, too.
            Err(error) => {
                warn_of_damage(&error);
                true
            }
        };
        if !self.disk.unlink(&self.file(id))? {
            // What could not be read need not have been there.
            return self.sync_miss().map(|()| false);
        }
        self.sync()?;
        Ok(was_live)
    }

    pub(super) fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for name in self.names()? {
            match self.disk.read_named(&self.dir, self.key, name)? {
                Some(session) if session.is_live(self.disk.now()) => entries.push(session.entry()),
                Some(_) => self.remove_expired(&session_file(&self.dir, name)),
                None => {}
            }
        }
        Ok(entries)
    }

    /// Ends every session of the key in one step.
    pub(super) fn clear(&self) -> Result<u64> {
        let mut live = 0;
        for name in self.names()? {
            match self.disk.read_named(&self.dir, self.key, name) {
                Ok(Some(session)) if session.is_live(self.disk.now()) && !session.id.is_reserved() => live += 1,
                Ok(_) => {}
                // It ends with the others; whether it was live nobody can tell.
                Err(error) => warn_of_damage(&error),
            }
        }
        let trash = self.disk.layout.trash(self.key);
        self.empty_trash()?;
        match self.disk.fs.rename(&self.dir, &trash) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.sync_miss().map(|()| 0),
            Err(error) => {
                return Err(trouble::failed(
                    "moving a session key's directory away",
                    &self.dir,
                    error,
                ));
            }
        }
        self.disk.sync_after_write(self.disk.layout.root())?;
        if let Err(error) = self.empty_trash() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what is left of a cleared session key stays until the next sweep"
            );
        }
        Ok(live)
    }

    /// Deletes what is left of the key's directory since it was cleared.
    pub(super) fn empty_trash(&self) -> Result<()> {
        let trash = self.disk.layout.trash(self.key);
        match self.disk.fs.remove_dir_all(&trash) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(trouble::failed(
                "deleting a cleared session key's directory",
                &trash,
                error,
            )),
            _ => Ok(()),
        }
    }

    /// The names of the key's sessions, sorted.
    pub(super) fn names(&self) -> Result<Vec<Name>> {
        let paths = self.disk.names_in(&self.dir)?;
        let mut names: Vec<_> = paths.iter().filter_map(|path| session_name(path)).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn file(&self, id: &RecordId) -> PathBuf {
        session_file(&self.dir, Name::of(id.id()))
    }

    fn read(&self, id: &RecordId) -> Result<Option<Session>> {
        self.disk.read_named(&self.dir, self.key, Name::of(id.id()))
    }

    /// The live record of that id. The clock is asked under the lock, so that nobody writes to a record that somebody
    /// else has already seen expire.
    pub(super) fn live(&self, id: &RecordId) -> Result<Option<Session>> {
        let session = self.read(id)?;
        Ok(session.filter(|session| session.is_live(self.disk.now())))
    }

    /// The same; an expired one that is met is removed.
    fn live_or_removed(&self, id: &RecordId) -> Result<Option<Session>> {
        let Some(session) = self.read(id)? else {
            return Ok(None);
        };
        if session.is_live(self.disk.now()) {
            return Ok(Some(session));
        }
        self.remove_expired(&self.file(id));
        Ok(None)
    }

    /// Removes the file of a session that was seen to expire. That needs no sync: should it come back, it is still expired.
    fn remove_expired(&self, file: &Path) {
        if let Err(error) = self.disk.unlink(file) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an expired session stays until the next sweep"
            );
        }
    }

    /// The live record of that id, if its version is the expected one.
    pub(super) fn expect(&self, id: &RecordId, expected: Option<&Version>) -> Result<Session> {
        let session = self.live_or_removed(id)?.ok_or(ErrorKind::NotFound)?;
        if expected.is_some_and(|version| !session.has_version(version)) {
            Err(ErrorKind::Conflict.into())
        } else {
            Ok(session)
        }
    }

    /// Puts a record there, whatever was there before.
    fn put(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.put_at(&self.file(id), Home::There, id, record)
    }

    fn put_at(&self, file: &Path, home: Home, id: &RecordId, record: &Record) -> Result<()> {
        let document = document::write(id, record).map_err(trouble::unwritable)?;
        self.place(home, &document, file)?;
        self.sync()
    }

    /// Puts a file in its place in one step: whoever reads it sees what was there, or all of this.
    pub(super) fn place(&self, home: Home, content: &[u8], path: &Path) -> Result<Box<dyn FsFile>> {
        let fs = &self.disk.fs;
        let temp = temp_file(&self.dir);
        let written = self.create(home, &temp).and_then(|mut file| {
            file.write_all(content)?;
            if self.disk.durability != Durability::Os {
                self.disk.pool.wait(|| file.sync())?;
            }
            fs.rename(&temp, path)?;
            Ok(file)
        });
        written.map_err(|error| {
            // If this fails as well, the next writer or sweep removes it.
            let _ = fs.remove_file(&temp);
            self.failed("writing a session file", path, error)
        })
    }

    fn create(&self, home: Home, temp: &Path) -> io::Result<Box<dyn FsFile>> {
        let fs = &self.disk.fs;
        let create = || {
            if self.is_roots {
                fs.create_new_own(temp)
            } else {
                fs.create_new(temp)
            }
        };
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs.remove_file(temp)?;
                create()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && home == Home::MayBeMissing => {
                fs.create_dir(&self.dir)?;
                create()
            }
            result => result,
        }
    }

    /// Sees to it that the key's directory is there and durable, before a session comes into it that may be its first:
    /// where there is a session, nobody needs to ask whether the directory's own name lasts. One that was there already
    /// may have been made by a process that died before its sync, so the storage directory is synced all the same.
    pub(super) fn prepare(&self) -> Result<()> {
        let created = self.disk.fs.create_dir(&self.dir);
        created.map_err(|error| self.failed("creating a session key's directory", &self.dir, error))?;
        self.disk.sync_before_write(self.disk.layout.root())
    }

    /// Makes it durable that there is nothing: who ended it may have died before the sync, and would bring it back.
    fn sync_miss(&self) -> Result<()> {
        if self.disk.durability == Durability::Os {
            return Ok(());
        }
        let dir = &self.dir;
        let is_there = self.disk.fs.exists(dir);
        if is_there.map_err(|error| trouble::failed("looking for a session key's directory", dir, error))? {
            self.sync()?;
        }
        self.disk.sync_after_write(self.disk.layout.root())
    }

    fn failed(&self, what: &'static str, path: &Path, error: io::Error) -> Error {
        match self.disk.still_there() {
            Err(vanished) if error.kind() == io::ErrorKind::NotFound => vanished,
            _ => trouble::failed(what, path, error),
        }
    }

    /// Makes a write that is in place durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.disk.sync_after_write(&self.dir)
    }
}

/// A session is ended whose file is damaged or could not be read.
fn warn_of_damage(error: &Error) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "ended a session that cannot be read"
    );
}
