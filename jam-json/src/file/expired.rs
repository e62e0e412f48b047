//! Sessions that were seen to have expired: they stay so, whatever the clock says later.

use jam_core::memory::{Shard, Slot, Table};
use jam_core::{RecordId, Timestamp};

use super::change::Change;

/// Ends a record that is not live, in memory alone. It stays in the table, so that whoever removes or sweeps it has
/// that written.
pub(super) fn end(shard: &mut Shard, id: &RecordId, now: Timestamp) {
    if let Some(slot) = shard.get_mut(id).filter(|slot| !slot.is_live(now)) {
        slot.expires_at = Some(Timestamp::ZERO);
    }
}

/// Whether no time revives it.
pub(super) fn has_ended(slot: &Slot) -> bool {
    slot.expires_at == Some(Timestamp::ZERO)
}

/// Has it written what has ended: a sweep drops it from the table, and with a time before its expiry a replay of that sweep
/// would not. Nobody could have it removed any more, and the next opening would bring it back.
pub(super) fn removals(table: &Table) -> Vec<Change> {
    if table.count_expired(Timestamp::ZERO) == 0 {
        return Vec::new();
    }
    let slots = (0..Table::SHARDS).flat_map(|shard| table.copy_shard(shard));
    let ended = slots.filter(|(_, slot)| has_ended(slot));
    ended.map(|(id, _)| Change::Remove { id }).collect()
}
