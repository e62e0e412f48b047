//! From what the file system or a session file says to an error that helps: what was tried, why it failed, what to do.

use std::io;
use std::path::Path;

use jam_core::{Error, ErrorKind};

use super::document::Damage;

/// An operation of the file system failed; nothing has changed.
pub(super) fn failed(what: &'static str, path: &Path, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::StorageFull => ": the disk is full; free some space",
        io::ErrorKind::QuotaExceeded => ": the disk quota is used up; free some space",
        io::ErrorKind::ReadOnlyFilesystem => ": the file system is read-only; mount it writable",
        io::ErrorKind::PermissionDenied => ": permission denied; the process must own the storage directory",
        io::ErrorKind::NotFound => ": it, or the directory it lies in, is not there",
        _ => "",
    };
    Error::new(ErrorKind::Unavailable, format!("{what} failed{why}"))
        .with("path", path.display().to_string())
        .with_source(error)
}

/// A write is in place, but whether it would survive a power cut is not known.
pub(super) fn not_durable(path: &Path, error: io::Error) -> Error {
    failed("syncing a directory after a write", path, error).with_outcome_unknown()
}

/// A session file cannot be read as what it should be.
pub(super) fn damaged(path: &Path, damage: Damage) -> Error {
    Error::new(ErrorKind::Corrupt, damage.words()).with("path", path.display().to_string())
}

/// A payload could not be written down as JSON.
pub(super) fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "a session could not be written as JSON").with_source(error)
}

/// The storage directory has vanished.
pub(super) fn vanished(root: &Path) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the storage directory is gone; it was removed, moved or unmounted while the store was open; put it back, or open \
         the store again",
    )
    .with("path", root.display().to_string())
}

/// More waits than is taken.
pub(super) fn crowded() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "too many calls wait for the storage directory: its device hangs, or is slower than what is asked of it",
    )
}

/// The store was closed.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the json-dir store was closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_can_do_something_about_is_said() {
        for (kind, words) in [
            (io::ErrorKind::StorageFull, "the disk is full"),
            (io::ErrorKind::QuotaExceeded, "quota"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::PermissionDenied, "permission denied"),
            (io::ErrorKind::NotFound, "is not there"),
            (io::ErrorKind::Other, "reading failed"),
        ] {
            let error = failed("reading", Path::new("/somewhere"), kind.into());
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.message().contains(words), "{kind}: {error}");
        }
    }
}
