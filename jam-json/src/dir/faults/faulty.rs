//! A file system on which one chosen operation goes wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fs::{Fs, FsFile, KeptLock, LockFile, RealFs};

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails and does nothing; the next one works again.
    Fail,
    /// It is not allowed, and does nothing; the next one works again.
    Deny,
    /// It does half of its work and fails; the next one works again.
    Tear,
    /// The process ends in the middle of it: it does half of its work, and nothing works any more.
    Crash,
    /// A file is removed just before it is to be removed.
    Outrun,
    /// From here on there is no space for anything new.
    Full,
    /// From here on nothing can be changed.
    ReadOnly,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => io::ErrorKind::StorageFull.into(),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            Self::Deny => io::ErrorKind::PermissionDenied.into(),
            _ => io::Error::other(format!("{self:?}, as the test wants it")),
        }
    }
}

/// A file system, the real one or another, but the `at`th operation goes wrong.
#[derive(Clone, Debug)]
pub(super) struct FaultyFs {
    fs: Arc<dyn Fs>,
    fault: Fault,
    at: u64,
    count: Arc<AtomicU64>,
    vanishes: Option<PathBuf>,
    read_failed: Arc<AtomicBool>,
}

/// What an operation does, as far as faults are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Look,
    /// A look into a file.
    Read,
    Grow,
    Change,
}

/// What is to become of an operation.
enum Fate {
    Works,
    Half(io::Error),
    Fails(io::Error),
}

impl FaultyFs {
    pub(super) fn new(fault: Fault, at: u64) -> Self {
        Self::on(Arc::new(RealFs), fault, at)
    }

    pub(super) fn on(fs: Arc<dyn Fs>, fault: Fault, at: u64) -> Self {
        Self {
            fs,
            fault,
            at,
            count: Arc::default(),
            vanishes: None,
            read_failed: Arc::default(),
        }
    }

    /// The real one, from which a directory vanishes just before the `at`th operation.
    pub(super) fn losing(directory: PathBuf, at: u64) -> Self {
        Self {
            vanishes: Some(directory),
            ..Self::new(Fault::Fail, at)
        }
    }

    /// Whether the fault has struck.
    pub(super) fn struck(&self) -> bool {
        self.count() > self.at
    }

    /// Whether what went wrong first was to read a file.
    pub(super) fn struck_a_read(&self) -> bool {
        self.read_failed.load(Ordering::SeqCst)
    }

    /// Operations so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn fate(&self, kind: Kind) -> Fate {
        let index = self.count.fetch_add(1, Ordering::SeqCst);
        if let Some(directory) = &self.vanishes {
            if index == self.at {
                std::fs::remove_dir_all(directory).expect("removed");
            }
            return Fate::Works;
        }
        if index == self.at && kind == Kind::Read {
            self.read_failed.store(true, Ordering::SeqCst);
        }
        let error = self.fault.error();
        match self.fault {
            _ if index < self.at => Fate::Works,
            Fault::Fail | Fault::Deny if index == self.at => Fate::Fails(error),
            Fault::Tear | Fault::Crash if index == self.at => Fate::Half(error),
            Fault::Crash => Fate::Fails(error),
            Fault::Full if kind == Kind::Grow => Fate::Half(error),
            Fault::ReadOnly if !matches!(kind, Kind::Look | Kind::Read) => Fate::Fails(error),
            _ => Fate::Works,
        }
    }

    fn when<T>(&self, kind: Kind, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.fate(kind) {
            Fate::Works => work(),
            Fate::Half(error) | Fate::Fails(error) => Err(error),
        }
    }

    fn file(&self, file: Box<dyn FsFile>) -> Box<dyn FsFile> {
        Box::new(FaultyFile { fs: self.clone(), file })
    }
}

impl Fs for FaultyFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = self.when(Kind::Grow, || self.fs.create_new(path))?;
        Ok(self.file(file))
    }

    fn append_new(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = self.when(Kind::Grow, || self.fs.append_new(path))?;
        Ok(self.file(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.when(Kind::Read, || self.fs.read(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.when(Kind::Change, || self.fs.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let outrun = self.fault == Fault::Outrun && self.count() == self.at;
        self.when(Kind::Change, || {
            if outrun {
                self.fs.remove_file(path)?;
            }
            self.fs.remove_file(path)
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.when(Kind::Change, || self.fs.remove_dir(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match self.fate(Kind::Change) {
            Fate::Works => self.fs.remove_dir_all(path),
            Fate::Fails(error) => Err(error),
            Fate::Half(error) => {
                if let Some(first) = self.fs.read_dir(path).unwrap_or_default().first() {
                    self.fs.remove_file(first)?;
                }
                Err(error)
            }
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.when(Kind::Grow, || self.fs.create_dir(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.when(Kind::Look, || self.fs.exists(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.when(Kind::Look, || self.fs.read_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.when(Kind::Look, || self.fs.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<LockFile> {
        self.when(Kind::Change, || self.fs.lock(path))
    }

    fn try_lock_existing(&self, path: &Path) -> io::Result<LockFile> {
        self.when(Kind::Change, || self.fs.try_lock_existing(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        self.when(Kind::Change, || self.fs.try_lock(path))
    }

    fn lock_again(&self, kept: KeptLock, path: &Path) -> io::Result<Option<LockFile>> {
        self.when(Kind::Change, || self.fs.lock_again(kept, path))
    }
}

#[derive(Debug)]
struct FaultyFile {
    fs: FaultyFs,
    file: Box<dyn FsFile>,
}

impl FsFile for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.fs.fate(Kind::Grow) {
            Fate::Works => self.file.write_all(bytes),
            Fate::Fails(error) => Err(error),
            Fate::Half(error) => {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Self { fs, file } = self;
        fs.when(Kind::Look, || file.sync())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let Self { fs, file } = self;
        fs.when(Kind::Change, || file.set_len(len))
    }
}
