//! What a request comes to, given what is there: decided before anything is written.

use std::collections::{HashMap, HashSet};

use jam_core::memory::{Slot, Table};
use jam_core::{Entry, ErrorKind, RecordId, Result, SessionKey, Timestamp, Version};

use super::change::Change;
use super::expired;
use super::request::{Answer, Request};
use super::session_text::Put;

/// The sessions as they will be when the batch so far is durable: the table, and over it what the batch changes.
#[derive(Debug)]
pub(super) struct View<'a> {
    table: &'a Table,
    now: Timestamp,
    changed: HashMap<RecordId, Option<Slot>>,
    cleared: HashSet<SessionKey>,
    /// What a load or list has found expired.
    seen_expired: Vec<RecordId>,
}

impl<'a> View<'a> {
    pub(super) fn new(table: &'a Table, now: Timestamp) -> Self {
        Self {
            table,
            now,
            changed: HashMap::new(),
            cleared: HashSet::new(),
            seen_expired: Vec::new(),
        }
    }

    /// Decides a request: the caller's answer, should the batch succeed, and the change it takes.
    ///
    /// # Errors
    /// What the contract says for this request; no change then.
    pub(super) fn decide(&mut self, request: Request) -> Result<(Answer, Option<Change>)> {
        match request {
            Request::Insert(put) => {
                self.expect_none(&put.id)?;
                Ok((Answer::Done, Some(Change::Put(put))))
            }
            Request::Load { id, renew } => {
                let Some(slot) = self.live(&id) else {
                    self.seen_expired.push(id);
                    return Ok((Answer::Loaded(None), None));
                };
                let due = renew.filter(|renewal| renewal.is_due(slot.expires_at));
                let stored = slot.stored();
                let stored = match due {
                    Some(renewal) => stored.ending(Some(renewal.to).into()),
                    None => stored,
                };
                let change = due.map(|renewal| Change::Touch {
                    id,
                    expires_at: renewal.to,
                });
                Ok((Answer::Loaded(Some(stored)), change))
            }
            Request::List(key) => Ok((Answer::Listed(self.live_of_key(&key)), None)),
            Request::Replace { put, expected } => {
                self.expect(&put.id, expected.as_ref())?;
                Ok((Answer::Done, Some(Change::Put(put))))
            }
            Request::Touch { id, expires_at } => {
                let Some(slot) = self.live(&id) else {
                    return Ok((Answer::Found(false), None));
                };
                let later = slot.expires_at.is_some_and(|at| at < expires_at);
                Ok((Answer::Found(true), later.then_some(Change::Touch { id, expires_at })))
            }
            Request::Rename { from, expected, to } => {
                self.expect(&from, Some(&expected))?;
                self.expect_none(&to.id)?;
                Ok((Answer::Done, Some(Change::Rename { from, to })))
            }
            Request::Remove(id) => {
                let Some(slot) = self.get(&id) else {
                    return Ok((Answer::Found(false), None));
                };
                Ok((Answer::Found(slot.is_live(self.now)), Some(Change::Remove { id })))
            }
            Request::Clear(key) => {
                let there = self.of_key(&key);
                let live = there.iter().filter(|(id, live)| *live && !id.is_reserved()).count();
                let change = (!there.is_empty()).then_some(Change::Clear { key });
                Ok((Answer::Count(live as u64), change))
            }
            // Comes first in its batch, so the table is all there is.
            Request::Expire(by) => {
                let expired = self.table.count_expired(by);
                Ok((Answer::Count(expired), (expired > 0).then_some(Change::Expire { by })))
            }
        }
    }

    /// Whether the batch so far has changed what this request looks at.
    pub(super) fn has_changed(&self, request: &Request) -> bool {
        let of_id = |id: &RecordId| self.changed.contains_key(id) || self.cleared.contains(id.key());
        match request {
            Request::Insert(put) | Request::Replace { put, .. } => of_id(&put.id),
            Request::Load { id, .. } | Request::Touch { id, .. } | Request::Remove(id) => of_id(id),
            Request::Rename { from, to, .. } => of_id(from) || of_id(&to.id),
            Request::List(key) | Request::Clear(key) => {
                self.cleared.contains(key) || self.changed.keys().any(|id| id.key() == key)
            }
            // Comes first in its batch.
            Request::Expire(_) => false,
        }
    }

    /// Takes a change of this batch into account.
    pub(super) fn note(&mut self, change: &Change, number: u64) {
        match change {
            Change::Put(put) => self.put(put, number),
            Change::Touch { id, expires_at } => {
                if let Some(mut slot) = self.get(id) {
                    slot.expires_at = Some(*expires_at);
                    self.changed.insert(id.clone(), Some(slot));
                }
            }
            Change::Remove { id } => {
                self.changed.insert(id.clone(), None);
            }
            Change::Rename { from, to } => {
                self.changed.insert(from.clone(), None);
                self.put(to, number);
            }
            Change::Clear { key } => {
                self.changed.retain(|id, _| id.key() != key);
                self.cleared.insert(key.clone());
            }
            // Ends its batch.
            Change::Expire { .. } => {}
        }
    }

    /// What is to be written before a change, so that a replay comes to the same as the table.
    pub(super) fn before(&self, change: &Change) -> Vec<Change> {
        match change {
            Change::Expire { .. } => expired::removals(self.table),
            _ => Vec::new(),
        }
    }

    /// After the batch: ends for good what was seen to have expired.
    pub(super) fn end_expired(self) {
        for id in &self.seen_expired {
            self.table.write(id.key(), |shard| expired::end(shard, id, self.now));
        }
    }

    fn put(&mut self, put: &Put, number: u64) {
        self.changed.insert(put.id.clone(), Some(put.slot(number)));
    }

    fn get(&self, id: &RecordId) -> Option<Slot> {
        if let Some(slot) = self.changed.get(id) {
            return slot.clone();
        }
        if self.cleared.contains(id.key()) {
            return None;
        }
        self.table.read(id.key(), |shard| shard.get(id).cloned())
    }

    fn live(&self, id: &RecordId) -> Option<Slot> {
        self.get(id).filter(|slot| slot.is_live(self.now))
    }

    fn expect(&self, id: &RecordId, expected: Option<&Version>) -> Result<()> {
        let slot = self.live(id).ok_or(ErrorKind::NotFound)?;
        if expected.is_some_and(|expected| expected.as_counter() != Some(slot.version)) {
            return Err(ErrorKind::Conflict.into());
        }
        Ok(())
    }

    fn expect_none(&self, id: &RecordId) -> Result<()> {
        match self.live(id) {
            Some(_) => Err(ErrorKind::AlreadyExists.into()),
            None => Ok(()),
        }
    }

    fn live_of_key(&mut self, key: &SessionKey) -> Vec<Entry> {
        let (live, expired): (Vec<_>, Vec<_>) = self.of_key(key).into_iter().partition(|(_, live)| *live);
        self.seen_expired.extend(expired.into_iter().map(|(id, _)| id));
        let entry = |(id, _): (RecordId, bool)| {
            let slot = self.get(&id)?;
            Some(Entry::new(id, slot.stored(), slot.expires_at))
        };
        live.into_iter().filter_map(entry).collect()
    }

    /// The ids of a key, and whether they are live.
    fn of_key(&self, key: &SessionKey) -> Vec<(RecordId, bool)> {
        let changed = self.changed.iter().filter(|(id, _)| id.key() == key);
        let mut found: Vec<_> = changed
            .filter_map(|(id, slot)| Some((id.clone(), slot.as_ref()?.is_live(self.now))))
            .collect();
        if !self.cleared.contains(key) {
            self.table.read(key, |shard| {
                let unchanged = shard.of_key(key).filter(|(id, _)| !self.changed.contains_key(id));
                found.extend(unchanged.map(|(id, slot)| (id, slot.is_live(self.now))));
            });
        }
        found
    }
}
