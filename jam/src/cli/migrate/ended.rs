//! Removing from the target what has ended in the source since an earlier run copied it.

use std::path::Path;

use jam_core::{Load, RecordId};

use super::copy::broken_off;
use super::verify::{Listed, list};
use super::{Store, is_mark, scan};
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;

/// Removes what the source does not have, and tells how much that was. The target is this migration's own until it is finished.
///
/// It may be dropped at any point.
///
/// # Errors
/// Whatever the stores give.
pub(super) async fn remove(source: &Store, target: &Store, path: &Path) -> Result<u64, Failure> {
    let (mut removed, mut seen, mut cursor) = (0, 0, None);
    let mut progress = Progress::new("looking for sessions that have ended", 0, None);
    let mut listed = Listed::new();
    loop {
        let page = scan(target, cursor).await;
        let page = page.map_err(|failure| broken_off(failure, "TO", path))?;
        let in_source = list(source, &page.entries, listed).await;
        listed = in_source.map_err(|failure| broken_off(failure, "FROM", path))?;
        for entry in page.entries.iter().filter(|entry| !is_mark(&entry.id)) {
            let is_listed = listed
                .get(entry.id.key())
                .is_some_and(|listed| listed.contains_key(&entry.id));
            if !is_listed && !is_there(source, &entry.id, path).await? {
                let gone = target.remove(&entry.id).await;
                removed += u64::from(gone.map_err(|error| broken_off(error.into(), "TO", path))?);
            }
        }
        seen += page.entries.len() as u64;
        progress.at(seen);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(removed);
        }
    }
}

/// Asked of the store itself for each record: a listing alone may come from what is kept near.
async fn is_there(source: &Store, id: &RecordId, path: &Path) -> Result<bool, Failure> {
    let found = source.load(id, Load::new().fresh()).await;
    let found = found.map_err(|error| broken_off(error.into(), "FROM", path))?;
    Ok(found.is_some())
}
