//! A sharded table of records, the building block of stores that keep sessions in the memory of the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::of_key::{OfKey, Put};
use crate::{Cursor, Entry, Error, ErrorKind, RecordId, Result, SessionKey, Stored, Timestamp, Version};

/// Records by session key and id, spread over shards by session key so that writers of different users do not meet.
///
/// No lock is ever held across an await: callers get a shard inside a closure.
pub struct Table {
    shards: Box<[RwLock<Shard>]>,
}

/// One record in a [`Table`].
#[derive(Clone)]
pub struct Slot {
    /// The bytes.
    pub payload: Bytes,
    /// When the record ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Which write it is from.
    pub version: u64,
}

impl Slot {
    /// Whether the record has not expired by `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// What a load gives.
    pub fn stored(&self) -> Stored {
        Stored::new(self.payload.clone(), Version::from_counter(self.version)).ending(self.expires_at.into())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("payload_len", &self.payload.len())
            .field("expires_at", &self.expires_at)
            .field("version", &self.version)
            .finish()
    }
}

/// The records of the session keys that share a shard.
#[derive(Default)]
pub struct Shard {
    keys: HashMap<SessionKey, OfKey>,
    len: usize,
    last_version: u64,
    live_when_looked: usize,
    inserts_since: usize,
}

impl Shard {
    /// The record of that id, expired or not.
    pub fn get(&self, id: &RecordId) -> Option<&Slot> {
        self.keys.get(id.key())?.get(id.id())
    }

    /// The record of that id, expired or not, to change in place.
    pub fn get_mut(&mut self, id: &RecordId) -> Option<&mut Slot> {
        self.keys.get_mut(id.key())?.get_mut(id.id())
    }

    /// Puts a record there, whatever was there before.
    pub fn put(&mut self, id: &RecordId, slot: Slot) {
        self.put_unless(id, slot, |_| false);
    }

    /// Puts a record there unless a live one is there, and tells whether it did.
    pub fn put_new(&mut self, id: &RecordId, slot: Slot, now: Timestamp) -> bool {
        self.put_unless(id, slot, |there| there.is_live(now))
    }

    /// Puts a record there unless one is there that is to stay, and tells whether it did.
    fn put_unless(&mut self, id: &RecordId, slot: Slot, stays: impl FnOnce(&Slot) -> bool) -> bool {
        let put = match self.keys.entry(id.key().clone()) {
            Vacant(place) => {
                place.insert(OfKey::One(id.shared_id(), slot));
                Put::New
            }
            Occupied(mut sessions) => sessions.get_mut().put(id.shared_id(), slot, stays),
        };
        self.len += usize::from(put == Put::New);
        put != Put::Refused
    }

    /// Takes a record out.
    pub fn take(&mut self, id: &RecordId) -> Option<Slot> {
        let sessions = self.keys.get_mut(id.key())?;
        let slot = sessions.take(id.id())?;
        self.len -= 1;
        if sessions.len() == 0 {
            self.keys.remove(id.key());
        }
        Some(slot)
    }

    /// Every record of a key, expired or not.
    pub fn of_key<'a>(&'a self, key: &'a SessionKey) -> impl Iterator<Item = (RecordId, &'a Slot)> {
        let sessions = self.keys.get(key).into_iter().flat_map(OfKey::iter);
        sessions.map(|(id, slot)| (RecordId::from_parts(key.clone(), Arc::clone(id)), slot))
    }

    /// Takes every record of a key out.
    pub fn take_key(&mut self, key: &SessionKey) -> Vec<(RecordId, Slot)> {
        let sessions = self.keys.remove(key);
        self.len -= sessions.as_ref().map_or(0, OfKey::len);
        let taken = sessions.into_iter().flat_map(OfKey::into_iter);
        taken
            .map(|(id, slot)| (RecordId::from_parts(key.clone(), id), slot))
            .collect()
    }

    /// Every record, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, &Slot)> {
        self.keys.iter().flat_map(|(key, sessions)| {
            sessions
                .iter()
                .map(|(id, slot)| (RecordId::from_parts(key.clone(), Arc::clone(id)), slot))
        })
    }

    /// How many records have expired by `now` and were not dropped yet.
    pub fn count_expired(&self, now: Timestamp) -> u64 {
        let slots = self.keys.values().flat_map(OfKey::iter);
        slots.filter(|(_, slot)| !slot.is_live(now)).count() as u64
    }

    /// Drops what has expired by `now`, and tells how many records that were.
    pub fn drop_expired(&mut self, now: Timestamp) -> u64 {
        let before = self.len;
        let mut left = 0;
        self.keys.retain(|_, sessions| {
            sessions.retain(|slot| slot.is_live(now));
            left += sessions.len();
            sessions.len() > 0
        });
        self.len = left;
        self.have_looked();
        (before - left) as u64
    }

    /// The same for these keys alone. What is left of those that have nothing else is handed out, to be dropped without the lock.
    fn drop_expired_of(&mut self, keys: &[SessionKey], now: Timestamp, ended: &mut Vec<OfKey>) -> usize {
        let before = self.len;
        for key in keys {
            let Some(sessions) = self.keys.get_mut(key) else {
                continue;
            };
            let all = sessions.len();
            if sessions.iter().any(|(_, slot)| slot.is_live(now)) {
                sessions.retain(|slot| slot.is_live(now));
                self.len -= all - sessions.len();
            } else {
                ended.extend(self.keys.remove(key));
                self.len -= all;
            }
        }
        before - self.len
    }

    /// Notes that everything that had expired was dropped.
    fn have_looked(&mut self) {
        self.live_when_looked = self.len;
        self.inserts_since = 0;
        if self.keys.capacity() > 4 * self.keys.len() {
            self.keys.shrink_to_fit();
        }
    }

    /// How many records there are, expired ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Called before an insert: drops what has expired once as many were inserted as were live when it last did, so
    /// that each insert pays a constant part of it.
    pub fn make_room(&mut self, now: Timestamp) {
        self.inserts_since += 1;
        if self.inserts_since > self.live_when_looked.max(32) {
            self.drop_expired(now);
        }
    }

    /// A version no record of this shard has had.
    pub fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Table {
    /// How many shards there are.
    pub const SHARDS: usize = 64;

    /// An empty table.
    pub fn new() -> Self {
        Self {
            shards: (0..Self::SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    /// Reads in the shard that holds this key.
    pub fn read<R>(&self, key: &SessionKey, work: impl FnOnce(&Shard) -> R) -> R {
        work(&self.lock_shared(self.index(key)))
    }

    /// Writes in the shard that holds this key.
    pub fn write<R>(&self, key: &SessionKey, work: impl FnOnce(&mut Shard) -> R) -> R {
        work(&mut self.lock(self.index(key)))
    }

    /// Writes in the shards of two keys as one step. With keys of one shard, the second argument is `None`.
    pub fn write_two<R>(
        &self,
        first: &SessionKey,
        second: &SessionKey,
        work: impl FnOnce(&mut Shard, Option<&mut Shard>) -> R,
    ) -> R {
        let (first, second) = (self.index(first), self.index(second));
        // Always locked in the order of their numbers, so that two such calls cannot wait for each other.
        match first.cmp(&second) {
            std::cmp::Ordering::Equal => work(&mut self.lock(first), None),
            std::cmp::Ordering::Less => {
                let mut one = self.lock(first);
                let mut two = self.lock(second);
                work(&mut one, Some(&mut two))
            }
            std::cmp::Ordering::Greater => {
                let mut two = self.lock(second);
                let mut one = self.lock(first);
                work(&mut one, Some(&mut two))
            }
        }
    }

    /// Drops what has expired by `now` in one shard (below [`SHARDS`](Self::SHARDS)), and tells how many records that were.
    ///
    /// A few keys at a time, and what they held is given back to the system in between, so that nobody waits for all of it.
    pub fn sweep_shard(&self, index: usize, now: Timestamp) -> u64 {
        const AT_ONCE: usize = 32;
        let keys: Vec<_> = self.lock_shared(index).keys.keys().cloned().collect();
        let mut dropped = 0;
        for some in keys.chunks(AT_ONCE) {
            let mut ended = Vec::with_capacity(AT_ONCE);
            dropped += self.lock(index).drop_expired_of(some, now, &mut ended);
        }
        self.lock(index).have_looked();
        dropped as u64
    }

    /// The live records of a key.
    pub fn live_of_key(&self, key: &SessionKey, now: Timestamp) -> Vec<Entry> {
        self.read(key, |shard| {
            let live = shard.of_key(key).filter(|(_, slot)| slot.is_live(now));
            live.map(|(id, slot)| Entry {
                id,
                stored: slot.stored(),
                expires_at: slot.expires_at,
            })
            .collect()
        })
    }

    /// Every record of one shard (below [`SHARDS`](Self::SHARDS)), expired or not. Payloads are shared, so the shard is
    /// locked only for the time it takes to count references.
    pub fn copy_shard(&self, index: usize) -> Vec<(RecordId, Slot)> {
        let shard = self.lock_shared(index);
        shard.iter().map(|(id, slot)| (id, slot.clone())).collect()
    }

    /// How many records have expired by `now` and were not dropped yet.
    pub fn count_expired(&self, now: Timestamp) -> u64 {
        let count = |index| self.lock_shared(index).count_expired(now);
        (0..self.shards.len()).map(count).sum()
    }

    /// The live records after `after` (all, if `None`), in an order that writes do not disturb: about `limit` of them, more
    /// of a shard that holds many, and, if more may follow, the position to go on from.
    pub fn page(&self, after: Option<&Position>, limit: usize, now: Timestamp) -> (Vec<Entry>, Option<Position>) {
        let limit = limit.max(1);
        let first = after.map_or(0, |position| position.shard);
        for index in first..self.shards.len() {
            let last = after
                .filter(|position| position.shard == index)
                .and_then(|position| position.last.as_ref());
            let shard = self.lock_shared(index);
            let mut found = Vec::new();
            for (key, sessions) in &shard.keys {
                let after = match last {
                    Some(last) if key < last.key() => continue,
                    Some(last) if key == last.key() => last.id(),
                    _ => "",
                };
                let left = sessions.iter().filter(|(id, slot)| &***id > after && slot.is_live(now));
                found.extend(left.map(|(id, slot)| (key, id, slot)));
            }
            if found.is_empty() {
                continue;
            }
            // Each page looks at all that is left of the shard. At least a sixteenth of it, and a walk over a full one stays linear.
            let limit = limit.max(found.len() / 16);
            let more = found.len() > limit;
            if more {
                found.select_nth_unstable_by(limit, |a, b| (a.0, a.1).cmp(&(b.0, b.1)));
                found.truncate(limit);
            }
            // Of a user with many sessions a page is a small part, so no more is copied than it takes.
            let found = found.into_iter().map(|(key, id, slot)| Entry {
                id: RecordId::from_parts(key.clone(), Arc::clone(id)),
                stored: slot.stored(),
                expires_at: slot.expires_at,
            });
            let found: Vec<_> = found.collect();
            drop(shard);
            if more {
                let last = found.iter().map(|entry| &entry.id).max().cloned();
                return (found, Some(Position { shard: index, last }));
            }
            let next = index + 1;
            return (
                found,
                (next < self.shards.len()).then_some(Position {
                    shard: next,
                    last: None,
                }),
            );
        }
        (Vec::new(), None)
    }

    fn index(&self, key: &SessionKey) -> usize {
        // The same in every process, so that a position outlives one. Hostile keys that meet in one shard only cost
        // concurrency; the maps inside are keyed by chance.
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        let (words, rest) = key.as_str().as_bytes().as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let hash = words
            .iter()
            .chain([&last])
            .fold(words.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        // The uppermost bits of a product depend on all of the key. The remainder is below the number of shards, so it fits.
        usize::try_from((hash >> 56) % self.shards.len() as u64).unwrap_or(0)
    }

    // A panic inside a shard's closure is a bug of jam; the table itself is never left half-changed by one, so a poisoned
    // lock is taken as it is.
    fn lock(&self, index: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[index].write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shared(&self, index: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[index].read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

/// Where a [`Table::page`] goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    shard: usize,
    last: Option<RecordId>,
}

impl Position {
    /// As a cursor: the shard, the length of the last key, the last key, the last id.
    pub fn to_cursor(&self) -> Cursor {
        let (key, id) = self
            .last
            .as_ref()
            .map_or(("", ""), |last| (last.key().as_str(), last.id()));
        Cursor::new(format!("{}:{}:{key}{id}", self.shard, key.len()).into_bytes())
    }

    /// From a cursor that [`to_cursor`](Self::to_cursor) made, in this process or another one.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is none of a table's.
    pub fn from_cursor(cursor: &Cursor) -> Result<Self> {
        let parse = || {
            let mut parts = str::from_utf8(cursor.as_bytes()).ok()?.splitn(3, ':');
            let shard = parts.next()?.parse().ok().filter(|shard| *shard < Table::SHARDS)?;
            let key_len = parts.next()?.parse().ok()?;
            let (key, id) = parts.next()?.split_at_checked(key_len)?;
            if key.is_empty() && id.is_empty() {
                return Some(Self { shard, last: None });
            }
            let last = RecordId::new(SessionKey::new(key).ok()?, id).ok()?;
            Some(Self {
                shard,
                last: Some(last),
            })
        };
        parse().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "that is not a cursor of this store"))
    }
}

#[cfg(test)]
mod tests;
