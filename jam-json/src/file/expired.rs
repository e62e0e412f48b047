//! Sessions that were seen to have expired: they stay so, whatever the clock says later.

use jam_core::memory::{Shard, Slot};
use jam_core::{RecordId, Timestamp};

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
