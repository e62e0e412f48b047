//! What opening a store found and did.

use std::path::PathBuf;

use jam_core::Finding;

/// What opening a store found and did. [`JsonFile::recovery`](crate::JsonFile::recovery) gives it.
///
/// After [`close`](jam_core::SessionStore::close) the next opening has nothing to do and the report is empty. After a
/// crash it tells how much came from the journal and, where the last record was damaged, what was cut off. A warning is
/// logged too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Changes that came from journals: the last run did not close the store.
    pub replayed: u64,
    /// Damaged ends of journals, cut off; there is hardly ever more than one. Usually a write that a crash interrupted,
    /// of which nobody was told that it had succeeded; but damage to the last write before the crash looks the same.
    pub damage: Vec<Damage>,
    /// The document's checksum was wrong, or its journal missing, and the options accepted that as an operator's doing.
    pub edited_document: bool,
    /// The document was one of Python's jamlib.
    pub imported: Option<Import>,
}

impl RecoveryReport {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn damage_finding(&self) -> Option<Finding> {
        let damage = self.damage.first()?;
        Some(Finding::warning(
            "recovery",
            format!(
                "{} bytes at the end of a journal were damaged and cut off",
                damage.dropped
            ),
            "after a crash that is as it should be; otherwise look at the disk",
        ))
    }
}

/// The damaged end of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The journal; it is gone once the store is open.
    pub file: PathBuf,
    /// Where the damage begins, in bytes. Everything before was kept.
    pub offset: u64,
    /// How many bytes from there on were dropped.
    pub dropped: u64,
}

/// An import of a `sessions.json` of Python's jamlib.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// How many sessions were in it.
    pub sessions: u64,
    /// Where the original file is kept.
    pub original: PathBuf,
}
