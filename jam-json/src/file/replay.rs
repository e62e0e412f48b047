//! Replaying a journal: every line checked, every number in order, damage told apart from loss.

use std::path::Path;

use jam_core::Result;
use jam_core::memory::Table;

use super::errors::{corrupt, newer};
use super::journal_text::{BatchText, FORMAT, Header, Line, hides_record, lines};
use super::report::Damage;

/// Why a journal is refused that belongs to another past.
const NO_SEQUEL: &str = "it does not go on where the document or journal before it ends; if the document was brought back \
                         from a backup, move the journals beside it away";

/// How far the replay has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The number of the last change.
    pub(super) sequence: u64,
    /// How many changes came from journals.
    pub(super) replayed: u64,
}

/// Where a journal stands among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) generation: u64,
    /// No journal with records comes after it; so its end may be damaged by a crash.
    pub(super) last: bool,
    /// The document was written after this journal was begun, so its header is whole.
    pub(super) vouched: bool,
}

/// Replays a journal into the table. Gives the damage at its end, if there is any and a crash may have caused it.
///
/// # Errors
/// [`Corrupt`](jam_core::ErrorKind::Corrupt) if a valid line, or another journal, follows the damage, or a line is
/// missing, doubled or out of order. [`Unsupported`](jam_core::ErrorKind::Unsupported) for a later format.
pub(super) fn replay(
    file: &Path,
    bytes: &[u8],
    place: Place,
    position: &mut Position,
    table: &Table,
) -> Result<Option<Damage>> {
    let mut rest = lines(bytes);
    let Some(header) = rest.next().and_then(|line| line.json()) else {
        let why = "the head of the journal is not what was written";
        let excused = place.last && !place.vouched;
        return damage(file, bytes, 0, excused, why).map(Some);
    };
    let header: Header = serde_json::from_slice(header).map_err(|_| newer(file))?;
    if header.format != FORMAT {
        return Err(newer(file));
    }
    if header.generation != place.generation {
        return Err(corrupt(
            file,
            0,
            "it is a journal of another generation than its name says",
        ));
    }
    let mut first = true;
    for line in rest {
        let Some(json) = line.json() else {
            let why = "a record is not what was written";
            return damage(file, bytes, line.offset, place.last, why).map(Some);
        };
        // A journal that was begun in vain has a header that may not fit, and nothing else.
        if std::mem::take(&mut first) && header.sequence != position.sequence {
            return Err(corrupt(file, 0, NO_SEQUEL));
        }
        apply(file, line, json, position, table)?;
    }
    if first && header.sequence != position.sequence && !place.last {
        return Err(corrupt(file, 0, NO_SEQUEL));
    }
    Ok(None)
}

/// Whether any valid record is in a journal.
pub(super) fn holds_records(bytes: &[u8]) -> bool {
    lines(bytes).skip(1).any(|line| line.json().is_some())
}

fn apply(file: &Path, line: Line<'_>, json: &[u8], position: &mut Position, table: &Table) -> Result<()> {
    let unreadable = || corrupt(file, line.offset, "a record with a right checksum makes no sense");
    let batch: BatchText<'_> = serde_json::from_slice(json).map_err(|_| unreadable())?;
    if batch.first != position.sequence + 1 {
        return Err(corrupt(
            file,
            line.offset,
            "a record is missing, doubled or out of order",
        ));
    }
    for change in &batch.changes {
        position.sequence += 1;
        position.replayed += 1;
        change.read().ok_or_else(unreadable)?.apply(table, position.sequence);
    }
    Ok(())
}

/// Damage from `offset` on: at the end of all that was written, or an error.
fn damage(file: &Path, bytes: &[u8], offset: usize, excused: bool, why: &str) -> Result<Damage> {
    let rest = bytes.get(offset..).unwrap_or_default();
    if !excused {
        return Err(corrupt(file, offset, why));
    }
    if holds_records(rest) || hides_record(rest) {
        return Err(corrupt(file, offset, &format!("{why}, and valid records follow")));
    }
    Ok(Damage {
        file: file.to_owned(),
        offset: offset as u64,
        dropped: rest.len() as u64,
    })
}
