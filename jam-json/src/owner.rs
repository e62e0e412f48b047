//! Whose the files are that root creates: the directory's owner's, so that a look as root (`sudo jam doctor`) shuts no
//! service out of its own sessions. SQLite does the same for its journals.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

const ROOT: u32 = 0;

/// Gives a file that was just created to the owner of its directory, if that is not root and it is root's.
///
/// Never one that was there before: the directory's owner could have it be a link to a file of the system.
pub(crate) fn hand_over_file(file: &File, path: &Path) {
    let handed_over = file.metadata().and_then(|meta| give(file, &meta, path));
    log_failure(path, handed_over);
}

/// The same for a directory.
pub(crate) fn hand_over_dir(path: &Path) {
    let hand_over = || {
        let dir = File::open(path)?;
        let meta = dir.metadata()?;
        // Whoever owns the directory around it may have put a link there meanwhile. What is no link now is in it.
        let named = fs::symlink_metadata(path)?;
        if !named.is_dir() || (named.dev(), named.ino()) != (meta.dev(), meta.ino()) {
            return Ok(());
        }
        give(&dir, &meta, path)
    };
    log_failure(path, hand_over());
}

/// Gives a file that was just created to the owner of another one, if that is not root.
pub(crate) fn hand_over_like(file: &File, other: &Path) {
    let hand_over = || {
        let (own, other) = (file.metadata()?, fs::metadata(other)?);
        if [ROOT, own.uid()].contains(&other.uid()) {
            return Ok(());
        }
        fchown(file, Some(other.uid()), Some(other.gid()))
    };
    // There may be no such file yet; and who may not give files away is not root.
    let _ = hand_over();
}

/// Whether a directory is root's and nobody else may create anything in it.
pub(crate) fn is_roots_alone(dir: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    fs::metadata(dir).is_ok_and(|meta| is_roots(&meta) && meta.mode() & OTHERS_WRITE == 0)
}

pub(crate) fn is_roots(meta: &Metadata) -> bool {
    meta.uid() == ROOT
}

fn give(file: &File, meta: &Metadata, path: &Path) -> io::Result<()> {
    if !is_roots(meta) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let owner = fs::metadata(parent.unwrap_or(Path::new(".")))?;
    if is_roots(&owner) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// A root without that right, as in some containers, can use the store all the same.
fn log_failure(path: &Path, handed_over: io::Result<()>) {
    if let Err(error) = handed_over {
        tracing::debug!(
            path = %path.display(),
            error = &error as &dyn std::error::Error,
            "a file stays root's in a directory of another user"
        );
    }
}
