//! Where the files of one store are: the document, its journals, its lock, its temporary files.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use jam_core::{Error, ErrorKind, Result};

/// The names of one store's files, all in one directory.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    document: PathBuf,
    directory: PathBuf,
    name: OsString,
}

/// What a file beside the document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    Journal(u64),
    Temporary,
    Lock,
}

impl Paths {
    /// Finds the one true path of a document, so that two ways to write it down meet in one lock.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if there is no such directory, or the path is one.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(|error| refused(path, "is no usable path", error))?;
        let link = absolute.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        let target = if link {
            absolute
                .canonicalize()
                .map_err(|error| refused(path, "is a symbolic link that leads nowhere", error))?
        } else {
            absolute
        };
        if target.is_dir() {
            return Err(config(path, "is a directory; name the file in it"));
        }
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(config(path, "names no file"));
        };
        let directory = parent
            .canonicalize()
            .map_err(|error| refused(path, "lies in a directory that cannot be used; create it first", error))?;
        if !directory.is_dir() {
            return Err(config(path, "lies in something that is no directory"));
        }
        Ok(Self {
            document: directory.join(name),
            name: name.to_owned(),
            directory,
        })
    }

    /// The document.
    pub(super) fn document(&self) -> &Path {
        &self.document
    }

    /// The directory of all of them.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The journal of a generation.
    pub(super) fn journal(&self, generation: u64) -> PathBuf {
        self.beside(&format!(".journal-{generation}"))
    }

    /// The lock; it is never removed, or two openers could hold two locks of one name.
    pub(super) fn lock(&self) -> PathBuf {
        self.beside(".lock")
    }

    /// Where the next document is written before it takes its name.
    pub(super) fn temporary(&self) -> PathBuf {
        self.beside(".tmp")
    }

    /// Where the original of an imported jamlib file is kept.
    pub(super) fn imported(&self) -> PathBuf {
        self.beside(".jamlib")
    }

    /// What a file in the directory is to this store, if anything.
    pub(super) fn classify(&self, path: &Path) -> Option<Beside> {
        let name = path.file_name().map(OsStr::as_encoded_bytes)?;
        let suffix = str::from_utf8(name.strip_prefix(self.name.as_encoded_bytes())?).ok()?;
        match suffix {
            ".lock" => Some(Beside::Lock),
            ".tmp" => Some(Beside::Temporary),
            _ => {
                let generation: u64 = suffix.strip_prefix(".journal-")?.parse().ok()?;
                // Only the one spelling that `journal` writes.
                (suffix == format!(".journal-{generation}")).then_some(Beside::Journal(generation))
            }
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(suffix);
        self.directory.join(name)
    }
}

fn config(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the sessions file {} {why}", path.display()))
}

fn refused(path: &Path, why: &str, error: io::Error) -> Error {
    config(path, why).with_source(error)
}
