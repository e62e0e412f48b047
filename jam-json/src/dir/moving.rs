//! Giving a session a new id in one step that every reader sees whole and no crash can split.
//!
//! 1. The file under the old id is replaced by one that holds both: the session under its new id, and as it still is.
//!    Read under the old name it is the old session, so nothing has changed for anybody.
//! 2. That file is renamed to its new name, in the same directory or another one. Read under the new name it is the new
//!    session. This one rename is the step: the old id is gone and the new one is there, for every reader and after
//!    every crash, with nothing for anybody to complete.
//! 3. What the session was before is cut off the file's end. Nobody reads it any more; should a crash come first, it
//!    goes with the next write.

use jam_core::{ErrorKind, Rename, Result};

use super::disk::Disk;
use super::document;
use super::folder::{Folder, Home};
use super::names::Name;
use super::trouble;

/// Moves a session within a key or from one key to another.
pub(super) fn rename(disk: &Disk, rename: Rename<'_>) -> Result<()> {
    let from = Name::of(rename.from.key().as_str());
    let to = Name::of(rename.to.key().as_str());
    // Lock files are taken in the order of their names, so that two opposite moves never wait for each other.
    match from.slot().cmp(&to.slot()) {
        std::cmp::Ordering::Equal => {
            let source = disk.lock_existing(from)?.ok_or(ErrorKind::NotFound)?;
            if from == to {
                return step(&source, &source, rename);
            }
            step(&source, &source.beside(to)?, rename)
        }
        std::cmp::Ordering::Less => {
            let source = disk.lock_existing(from)?.ok_or(ErrorKind::NotFound)?;
            step(&source, &disk.lock(to)?, rename)
        }
        std::cmp::Ordering::Greater => {
            let target = disk.lock(to)?;
            let source = disk.lock_existing(from)?.ok_or(ErrorKind::NotFound)?;
            step(&source, &target, rename)
        }
    }
}

fn step(source: &Folder<'_>, target: &Folder<'_>, rename: Rename<'_>) -> Result<()> {
    let Rename {
        from,
        expected,
        to,
        record,
        ..
    } = rename;
    let old = source.expect(from, Some(expected))?;
    if target.live(to)?.is_some() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let disk = source.disk;
    let (old_file, new_file) = (source.file(from), target.file(to));
    let (content, keep) = document::write_move((from, &old.record), (to, record)).map_err(trouble::unwritable)?;
    if source.key != target.key {
        target.prepare()?;
    }
    let mut file = source.place(Home::There, &content, &old_file)?;
    disk.fs
        .rename(&old_file, &new_file)
        .map_err(|error| trouble::failed("giving a session file its new name", &new_file, error))?;
    // The old name first: a disk that has the new one and still has what the old one was before step 1 would have both.
    let left = source.sync();
    if source.key != target.key {
        target.sync()?;
    }
    left?;
    // Not before the new name is durable: under the old one, all of the file is needed.
    if let Err(error) = file.set_len(keep as u64) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "what a session was before it got a new id stays in its file until its next write"
        );
    }
    Ok(())
}
