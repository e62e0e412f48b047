//! How a store is opened.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jam_core::{Clock, Error, ErrorKind, Result, SystemClock};

use super::errors::{not_imported, unavailable};
use super::log::{Log, Place};
use super::paths::{Beside, Paths};
use super::recover::{Accepted, is_jamlibs, recover};
use super::report::RecoveryReport;
use super::{JsonFile, Opened, spelling};
use crate::Durability;
use crate::fs::{Fs, LockFile, RealFs};

/// How a [`JsonFile`] is opened. [`JsonFile::options`] begins it.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open`"]
pub struct JsonFileOptions {
    path: PathBuf,
    durability: Durability,
    clock: Arc<dyn Clock>,
    accept_edited_document: bool,
    import_jamlib: bool,
    compact_after: u64,
    fs: Arc<dyn Fs>,
}

impl JsonFileOptions {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
            accept_edited_document: false,
            import_jamlib: true,
            compact_after: 1024 * 1024,
            fs: Arc::new(RealFs),
        }
    }

    /// What an acknowledged write survives; [`Durability::Sync`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The clock that expiry is judged by; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Accepts a document whose checksum does not match, because an operator edited it on purpose, and one whose
    /// journal is missing, because it comes from a backup; `false` by default.
    ///
    /// It still has to be JSON of the right shape. Opening writes it anew with a right checksum, so this is for one
    /// start: left on, it would take damage for an edit as well.
    pub fn accept_edited_document(mut self, accept: bool) -> Self {
        self.accept_edited_document = accept;
        self
    }

    /// Whether a `sessions.json` of Python's jamlib is imported, which makes it a document of jam; `true` by default. Else it is
    /// refused and left as it is, for who only wants to look.
    pub fn import_jamlib(mut self, import: bool) -> Self {
        self.import_jamlib = import;
        self
    }

    /// How long the journal grows, in bytes, before the document is written anew; 1 MiB by default. While the document
    /// is longer than that, the journal grows to the document's length.
    pub fn compact_after(mut self, bytes: u64) -> Self {
        self.compact_after = bytes;
        self
    }

    #[cfg(test)]
    pub(super) fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// Opens the store, which begins anew if there is no file yet.
    ///
    /// # Errors
    /// - [`Config`](ErrorKind::Config) if the path cannot be one of a sessions file, or another program's JSON is
    ///   there, or the file is there in another spelling (`Sessions.json`, where upper and lower case are one), or it is
    ///   one of Python's jamlib and not to be [imported](Self::import_jamlib).
    /// - [`Unavailable`](ErrorKind::Unavailable) if the file is open already, in this process or another one, or a file
    ///   operation fails.
    /// - [`Corrupt`](ErrorKind::Corrupt) if a file is damaged in a way no crash explains; the message names the file
    ///   and, where known, the offset. Nothing is changed then.
    /// - [`Unsupported`](ErrorKind::Unsupported) if a later jam wrote the file.
    pub async fn open(self) -> Result<JsonFile> {
        blocking::unblock(move || self.open_now()).await
    }

    /// Whether somebody has the file open.
    pub(super) fn is_taken(&self) -> bool {
        let lock = Paths::resolve(&self.path).map(|paths| self.fs.try_lock_existing(&paths.lock()));
        lock.is_ok_and(|lock| lock.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }

    /// Whether Python's jamlib wrote what is there, and it is not to be imported.
    pub(super) fn leaves_jamlib(&self) -> bool {
        let is_jamlibs = || Paths::resolve(&self.path).and_then(|paths| is_jamlibs(&*self.fs, &paths));
        !self.import_jamlib && is_jamlibs().unwrap_or(false)
    }

    /// The files beside the document.
    pub(super) fn beside(&self) -> Vec<PathBuf> {
        let found = Paths::resolve(&self.path).and_then(|paths| {
            let mut found = self
                .fs
                .read_dir(paths.directory())
                .map_err(|error| unavailable("looking into", paths.directory(), error))?;
            found.retain(|path| paths.classify(path).is_some());
            found.push(paths.imported());
            Ok(found)
        });
        found.unwrap_or_default()
    }

    fn open_now(self) -> Result<JsonFile> {
        let paths = Paths::resolve(&self.path)?;
        let (lock, known) = take_lock(&*self.fs, &paths, self.import_jamlib)?;
        let accepted = Accepted {
            edited_document: self.accept_edited_document,
            jamlib: self.import_jamlib,
            empty: !known,
        };
        let found = recover(&*self.fs, &paths, accepted)?;
        let report = found.report.clone();
        warn_of(&report);
        let document = paths.document().to_owned();
        let place = Place {
            fs: self.fs,
            paths: Arc::new(paths),
            durability: self.durability,
            compact_after: self.compact_after,
        };
        let log = Log::begin(place, lock, found)?;
        JsonFile::start(log, self.clock, Opened { document, report })
    }
}

/// Takes the lock, and tells whether its file was there before.
fn take_lock(fs: &dyn Fs, paths: &Paths, import_jamlib: bool) -> Result<(LockFile, bool)> {
    let failed = |error: io::Error| unavailable("opening", &paths.lock(), error);
    let beside = fs.read_dir(paths.directory()).map_err(failed)?;
    let known = beside.iter().any(|path| paths.classify(path) == Some(Beside::Lock));
    if !known {
        // Before a lock of this spelling is left behind, or one beside a file that is not to be touched.
        spelling::check(fs, paths)?;
        if !import_jamlib && is_jamlibs(fs, paths)? {
            return Err(not_imported(paths.document()));
        }
    }
    match fs.try_lock(&paths.lock()).map_err(failed)? {
        Some(lock) => {
            spelling::check(fs, paths)?;
            Ok((lock, known))
        }
        None => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "{} is open already, in this process or another one; only one at a time can have it (several processes \
                 can share a directory store or a server)",
                paths.document().display()
            ),
        )),
    }
}

fn warn_of(report: &RecoveryReport) {
    for damage in &report.damage {
        tracing::warn!(
            file = %damage.file.display(),
            offset = damage.offset,
            dropped = damage.dropped,
            "the end of the journal is damaged and was cut off; usually a write that a crash interrupted"
        );
    }
    if report.edited_document {
        tracing::warn!("the sessions file was edited, or is without its journal, and the options accept that");
    }
    if let Some(import) = &report.imported {
        tracing::info!(
            sessions = import.sessions,
            original = %import.original.display(),
            "imported the sessions of Python's jamlib"
        );
    }
}
