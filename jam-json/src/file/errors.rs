//! The errors of the store: each names the file, what was tried and what helps, and nothing of any session.

use std::io;
use std::path::Path;

use jam_core::{Error, ErrorKind, Result};

/// A file operation that failed, with nothing of the call left behind.
pub(super) fn unavailable(what: &str, file: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{what} {} failed ({})", file.display(), error.kind()),
    )
    .with_source(error)
}

/// Damage: what stands at this offset of this file is not what was written.
pub(super) fn corrupt(file: &Path, offset: usize, why: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "{} is damaged at byte {offset}: {why}; nothing was changed",
            file.display()
        ),
    )
}

/// Files that do not fit together.
pub(super) fn torn_apart(file: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{}: {why}; nothing was changed", file.display()),
    )
}

/// What opening would make a document of jam, and was not to.
pub(super) fn not_imported(file: &Path) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "{} is a sessions file of Python's jamlib, and is not to be imported here (`import_jamlib` is false, as in every \
             command that only looks); have a copy imported by a command that writes, such as `jam sweep`, and look at that, or \
             stop jamlib, leave `import_jamlib` out, and import it by starting the service or by `jam migrate` from it; nothing was changed",
            file.display()
        ),
    )
}

/// A format of a later jam.
pub(super) fn newer(file: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{} was written by a later jam; open it with that one", file.display()),
    )
}

/// A call on a store that was closed.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the sessions file was closed")
}

/// Writing into memory, which does not fail.
pub(super) fn unwritable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "a record could not be turned into JSON").with_source(error)
}

/// The same error for another caller. The cause stays with the first, its kind is in the message.
pub(super) fn again(error: &Error) -> Error {
    let copy = beside(error);
    if error.outcome_unknown() {
        copy.with_outcome_unknown()
    } else {
        copy
    }
}

/// The same outcome for another caller.
pub(super) fn for_another(outcome: &Result<()>) -> Result<()> {
    outcome.as_ref().copied().map_err(again)
}

/// The error for a call that wrote nothing itself, but was decided on what could not be written.
pub(super) fn beside(error: &Error) -> Error {
    Error::new(error.kind(), error.message().to_owned())
}

/// A compaction that was given up for something that could not wait.
pub(super) fn interrupted() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "a failed write interrupted the compaction of the sessions file",
    )
}

/// The writer has ended without an answer, which takes a panic.
pub(super) fn writer_gone() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the writer of the sessions file has ended unexpectedly; open the store anew",
    )
}
