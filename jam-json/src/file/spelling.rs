//! The one spelling of a path that counts, on a file system where others lead to the same file.

use std::ffi::OsStr;
use std::path::Path;

use jam_core::{Error, ErrorKind, Result};

use super::errors::unavailable;
use super::paths::Paths;
use crate::fs::Fs;

/// Refuses a path that leads to a document or a lock whose name is spelled otherwise in the directory. Journals are found
/// by the names that the directory lists, so under another spelling they would not be found, and then be written over.
///
/// # Errors
/// [`Config`](ErrorKind::Config), with the spelling that was found.
pub(super) fn check(fs: &dyn Fs, paths: &Paths) -> Result<()> {
    let failed = |error| unavailable("looking into", paths.directory(), error);
    // Before the directory is listed, so that a file that is just created is not taken for one of another spelling.
    let mut there = Vec::new();
    for file in [paths.document().to_owned(), paths.lock()] {
        if fs.exists(&file).map_err(failed)? {
            there.push(file);
        }
    }
    let listed = fs.read_dir(paths.directory()).map_err(failed)?;
    match there.iter().find(|file| !listed.contains(file)) {
        None => Ok(()),
        Some(file) => Err(refusal(file, listed.iter().filter_map(|path| path.file_name()))),
    }
}

fn refusal<'a>(file: &Path, mut listed: impl Iterator<Item = &'a OsStr>) -> Error {
    let found = file.file_name().and_then(|name| {
        let folded = name.to_string_lossy().to_lowercase();
        listed.find(|listed| listed.to_string_lossy().to_lowercase() == folded)
    });
    let found = found.map_or_else(|| "otherwise".to_owned(), |name| format!("`{}`", name.display()));
    Error::new(
        ErrorKind::Config,
        format!(
            "{} is spelled {found} in its directory, on a file system that does not tell the two apart; give the path of the \
             sessions file as it is spelled there, or its journals would be missed; nothing was changed",
            file.display()
        ),
    )
}
