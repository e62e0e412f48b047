//! A journal that is being written: it ends after the last acknowledged batch, or it is given up.

use std::io;
use std::path::{Path, PathBuf};

use super::journal_text::header;
use super::paths::Paths;
use crate::Durability;
use crate::fs::{Fs, FsFile};

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn FsFile>,
    path: PathBuf,
    durability: Durability,
    len: u64,
}

/// Why a batch is not in the journal.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it is left; the journal goes on.
    NotWritten(io::Error),
    /// Some of it may be left, and the journal must not be written to again: after a failed sync the kernel may have
    /// dropped what it could not write, and a second sync would say that all is well.
    GivenUp(io::Error),
}

impl Journal {
    /// Begins a journal that has no changes yet, durable whatever the durability. It replaces one that was begun in
    /// vain.
    ///
    /// # Errors
    /// If a file operation fails. There is no such journal then, or one without changes.
    pub(super) fn begin(
        fs: &dyn Fs,
        paths: &Paths,
        durability: Durability,
        generation: u64,
        sequence: u64,
    ) -> io::Result<Self> {
        let path = paths.journal(generation);
        remove_if_there(fs, &path)?;
        let header = header(generation, sequence)?;
        let begun = write_header(fs, paths, &path, &header);
        if begun.is_err() {
            let _ = fs.remove_file(&path);
        }
        Ok(Self {
            file: begun?,
            path,
            durability,
            len: header.len() as u64,
        })
    }

    /// Appends the line of a batch and makes it durable.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.file.write_all(line) {
            return Err(match self.cut_back() {
                Ok(()) => AppendError::NotWritten(error),
                Err(_) => AppendError::GivenUp(error),
            });
        }
        self.make_durable().map_err(AppendError::GivenUp)?;
        // Somebody may have removed it, or moved it away; whatever goes into it is lost with this process.
        if !self.is_there().map_err(AppendError::GivenUp)? {
            let removed = io::Error::new(
                io::ErrorKind::NotFound,
                "the journal was removed or moved away while the store was open",
            );
            return Err(AppendError::GivenUp(removed));
        }
        self.len += line.len() as u64;
        Ok(())
    }

    /// Brings all of it to the device, whatever the durability: another journal shall begin.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        match self.durability {
            Durability::Os => self.file.sync(),
            _ => Ok(()),
        }
    }

    /// Whether it is where it will be looked for; `true` where the system does not tell.
    pub(super) fn is_there(&self) -> io::Result<bool> {
        self.file.is_at(&self.path)
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn cut_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.make_durable()
    }

    fn make_durable(&mut self) -> io::Result<()> {
        match self.durability {
            Durability::Os => Ok(()),
            _ => self.file.sync(),
        }
    }
}

fn write_header(fs: &dyn Fs, paths: &Paths, path: &Path, header: &[u8]) -> io::Result<Box<dyn FsFile>> {
    // Appending, so that what follows a cut goes to the new end. And new, so that it is no link that somebody has put there
    // meanwhile: root would write to what it leads to.
    let mut file = fs.append_new(path)?;
    file.write_all(header)?;
    file.sync()?;
    fs.sync_dir(paths.directory())?;
    Ok(file)
}

/// Removes a file that may not be there.
pub(super) fn remove_if_there(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    match fs.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
