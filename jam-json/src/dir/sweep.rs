//! Taking away what nobody needs, key by key: expired sessions, empty directories, and what a crash left behind.

use std::io;
use std::path::Path;

use jam_core::{Error, ErrorKind, Result, Timestamp};

use super::disk::Disk;
use super::folder::Folder;
use super::names::{Item, Name, session_file, session_name, temp_file};
use super::trouble;

/// Removes what crashed writers left: half-filled files and directories of cleared keys. What somebody is just using is
/// left alone: whoever uses it holds the key's lock.
pub(super) fn leftovers(disk: &Disk) -> Result<()> {
    for item in disk.items()? {
        let key = match item {
            Item::Key(key) if exists(disk, &temp_file(&disk.layout.key_dir(key)))? => key,
            Item::Key(_) => continue,
            Item::Trash(key) => key,
            Item::Dirt => {
                disk.unlink(&disk.layout.dirt(disk.layout.root()))?;
                continue;
            }
        };
        if let Some(folder) = disk.try_lock(key)? {
            folder.disk.unlink(&temp_file(&folder.dir))?;
            folder.empty_trash()?;
        }
    }
    Ok(())
}

/// What is to be done in a key's directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Nothing,
    Sweep,
    /// Somebody else, such as another process that sweeps, has removed it.
    Gone,
}

/// Looks without the lock, so nobody waits for a sweep that finds nothing.
pub(super) fn look(disk: &Disk, dir: &Path, key: Name, now: Timestamp) -> Result<Look> {
    let mut sessions = 0;
    let paths = disk.names_in(dir)?;
    if paths.is_empty() && !exists(disk, dir)? {
        return Ok(Look::Gone);
    }
    for path in paths {
        let Some(name) = session_name(&path) else {
            if path == temp_file(dir) {
                return Ok(Look::Sweep);
            }
            continue;
        };
        sessions += 1;
        match disk.read_named(dir, key, name) {
            Ok(Some(session)) if !session.is_live(now) => return Ok(Look::Sweep),
            Ok(_) => {}
            // Perhaps it was just being moved; under the lock that is seen.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Look::Sweep),
            Err(error) => return Err(error),
        }
    }
    Ok(if sessions == 0 { Look::Sweep } else { Look::Nothing })
}

pub(super) fn sweep(folder: &Folder<'_>, now: Timestamp, removed: &mut u64) -> Result<()> {
    let mut trouble: Option<Error> = None;
    let mut left = 0;
    folder.disk.unlink(&temp_file(&folder.dir))?;
    for name in folder.names()? {
        match folder.disk.read_named(&folder.dir, folder.key, name) {
            Ok(Some(session)) if !session.is_live(now) => {
                folder.disk.unlink(&session_file(&folder.dir, name))?;
                *removed += 1;
            }
            Ok(_) => left += 1,
            Err(error) => {
                left += 1;
                trouble.get_or_insert(error);
            }
        }
    }
    if left == 0 {
        remove_empty(folder)?;
    }
    trouble.map_or(Ok(()), Err)
}

fn remove_empty(folder: &Folder<'_>) -> Result<()> {
    match folder.disk.fs.remove_dir(&folder.dir) {
        Ok(()) => Ok(()),
        // Gone already, or somebody keeps a file of their own there.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
        Err(error) => Err(trouble::failed("removing an empty directory", &folder.dir, error)),
    }
}

fn exists(disk: &Disk, path: &Path) -> Result<bool> {
    disk.fs
        .exists(path)
        .map_err(|error| trouble::failed("looking for leftovers", path, error))
}
