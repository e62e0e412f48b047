//! The naive store's operations: each does what the contract says, but for the flaw.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use jam_core::{
    Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored,
    Timestamp, Version,
};

use crate::flaw::Flaw;
use crate::store::{Map, Naive, Slot, lock};

#[async_trait]
impl SessionStore for Naive {
    fn name(&self) -> &'static str {
        if self.is(Flaw::NoName) { "" } else { "naive" }
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.enter().await?;
        if self.is(Flaw::OneByteKeysRefused) && id.key().as_str().len() == 1 {
            return Err(Error::new(ErrorKind::InvalidInput, "the session key is too short"));
        }
        let (id, mut slot) = (&self.place(id), self.slot(record));
        if self.is(Flaw::InsertForgetsTheExpiry) {
            slot.expires_at = None;
        }
        if self.is(Flaw::VersionsStartAgain) {
            slot.version = 1;
        }
        if self.insert_torn(id, &slot).await? {
            return Ok(());
        }
        self.step(|map| {
            if !self.is_free(map, id) {
                return Err(self.error(ErrorKind::AlreadyExists, id, record));
            }
            map.insert(id.clone(), slot);
            Ok(())
        })
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        if !self.is(Flaw::ReadsAfterClose) {
            self.enter().await?;
        }
        let id = &self.place(id);
        if self.is(Flaw::HandlesRemember) {
            let read = || self.read(id, how.renew);
            return Ok(lock(&self.remembered).entry(id.clone()).or_insert_with(read).clone());
        }
        if self.is(Flaw::FreshFromWhatItRemembers) {
            let read = || self.read(id, how.renew);
            let mut remembered = lock(&self.remembered);
            if how.fresh {
                return Ok(remembered.get(id).cloned().unwrap_or_else(read));
            }
            let found = read();
            remembered.insert(id.clone(), found.clone());
            return Ok(found);
        }
        match self.load_torn(id, how.renew).await {
            Some(stored) => Ok(stored),
            None => Ok(self.reply(self.read(id, how.renew)).await),
        }
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.enter().await?;
        lock(&self.remembered).clear();
        let (id, mut slot) = (&self.place(id), self.slot(record));
        let expected = expected.filter(|_| !self.is(Flaw::ReplaceIgnoresTheVersion));
        if self.replace_torn(id, expected, &slot).await? {
            return Ok(());
        }
        self.step(|map| {
            let old = match self.expect(map, id, expected, Flaw::ReplaceRevivesExpired) {
                Err(ErrorKind::NotFound) if self.is(Flaw::ReplaceInserts) => slot.clone(),
                found => found.map_err(|kind| self.error(kind, id, record))?.clone(),
            };
            slot.first_expiry = old.first_expiry;
            if self.is(Flaw::ReplaceInPlace) && slot.payload.len() < old.payload.len() {
                slot.payload = [&slot.payload, &old.payload[slot.payload.len()..]].concat().into();
            }
            match self.flaw {
                Flaw::ReplaceKeepsTheLaterExpiry => slot.expires_at = slot.expires_at.max(old.expires_at),
                Flaw::ReplaceKeepsTheVersion => slot.version = old.version,
                Flaw::VersionsStartAgain => slot.version = old.version + 1,
                _ => {}
            }
            map.insert(id.clone(), slot);
            Ok(())
        })
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.enter().await?;
        let id = &self.place(id);
        if let Some(touched) = self.touch_torn(id, expires_at).await {
            return Ok(touched);
        }
        let inserted = self.slot(&Record::new("{}", Some(expires_at)));
        Ok(self.step(|map| {
            if self.is(Flaw::TouchOfTheWholeKey) {
                let others = map.iter_mut().filter(|(other, _)| other.key() == id.key());
                others.for_each(|(_, slot)| slot.expires_at = slot.expires_at.max(Some(expires_at)));
            }
            if self.is(Flaw::TouchInserts) {
                map.entry(id.clone()).or_insert(inserted);
            }
            let revived = self.is(Flaw::TouchRevivesExpired);
            let Some(slot) = map.get_mut(id).filter(|slot| revived || self.is_live(slot)) else {
                return false;
            };
            slot.expires_at = match slot.expires_at {
                at if self.is(Flaw::TouchNever) => at,
                Some(_) if self.is(Flaw::TouchShortens) => Some(expires_at),
                None if self.is(Flaw::TouchOfEndless) => Some(expires_at),
                at => at.map(|at| at.max(expires_at)),
            };
            slot.version += u64::from(self.is(Flaw::TouchChangesTheVersion));
            true
        }))
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.enter().await?;
        lock(&self.remembered).clear();
        let Rename {
            from,
            expected,
            to,
            record,
            ..
        } = rename;
        let (from, to, mut slot) = (&self.place(from), &self.place(to), self.slot(record));
        let expected = Some(expected).filter(|_| !self.is(Flaw::RenameIgnoresTheVersion));
        let fail = |kind| self.error(kind, from, record);
        if self.rename_torn(from, expected, to, &slot).await.map_err(fail)? {
            return Ok(());
        }
        self.step(|map| {
            let old = match self.expect(map, from, expected, Flaw::RenameOfExpired) {
                Err(ErrorKind::NotFound) if self.is(Flaw::RenameInserts) => slot.clone(),
                Err(ErrorKind::Conflict) if self.is(Flaw::RenameLosesOnConflict) => {
                    self.take(map, from);
                    return Err(fail(ErrorKind::Conflict));
                }
                found => found.map_err(fail)?.clone(),
            };
            if !self.is_free_for_rename(map, from, to) {
                return Err(fail(ErrorKind::AlreadyExists));
            }
            match self.flaw {
                Flaw::RenameKeepsTheExpiry => slot.expires_at = old.expires_at,
                Flaw::RenameKeepsThePayload => slot.payload = old.payload,
                _ => {}
            }
            if self.is(Flaw::RenameEmptiesTheOldKey) {
                map.retain(|id, _| id.key() != from.key());
            }
            if !self.is(Flaw::RenameKeepsTheOldId) {
                self.take(map, from);
            }
            map.insert(to.clone(), slot);
            Ok(())
        })
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.enter().await?;
        lock(&self.remembered).clear();
        let id = &self.place(id);
        if let Some(removed) = self.remove_torn(id).await {
            return Ok(removed);
        }
        let taken = self.step(|map| self.take(map, id));
        let counts = |slot: &Slot| self.is_live(slot) || self.is(Flaw::RemoveCountsExpired);
        Ok(self.is(Flaw::RemoveAlwaysTrue) || taken.as_ref().is_some_and(counts))
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.enter().await?;
        let hidden = |id: &RecordId| self.is(Flaw::ListHidesReserved) && id.is_reserved();
        let wanted = |id: &RecordId| self.of_key(key, id, Flaw::ListByPrefix) && !hidden(id);
        let mut entries = self.entries(Flaw::ListGivesExpired, Flaw::ListForgetsTheExpiry, wanted);
        match self.flaw {
            Flaw::ListStopsAtAHundred => entries.truncate(100),
            Flaw::ListGivesTwice => entries.extend(entries.first().cloned()),
            Flaw::ListGivesOtherVersions => {
                for entry in &mut entries {
                    entry.stored.version = Version::from_content(entry.stored.payload.clone());
                }
            }
            _ => {}
        }
        Ok(entries)
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.enter().await?;
        lock(&self.remembered).clear();
        let kept = |id: &RecordId| self.is(Flaw::ClearLeavesReserved) && id.is_reserved();
        let ids = |map: &Map| -> Vec<_> {
            let ids = map
                .keys()
                .filter(|id| self.of_key(key, id, Flaw::ClearByPrefix) && !kept(id));
            ids.cloned().collect()
        };
        let counts = |id: &RecordId, slot: &Slot| {
            (self.is_live(slot) || self.is(Flaw::ClearCountsExpired))
                && (!id.is_reserved() || self.is(Flaw::ClearCountsReserved))
        };
        if let Some(count) = self.clear_torn(ids, counts).await {
            return Ok(count);
        }
        Ok(self.step(|map| {
            let mut ids = ids(map);
            if self.is(Flaw::ClearLeavesOne) && ids.len() > 1 {
                ids.pop();
            }
            let taken = ids.iter().filter_map(|id| self.take(map, id).map(|slot| (id, slot)));
            taken.filter(|(id, slot)| counts(id, slot)).count() as u64
        }))
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.enter().await?;
        let by = match self.flaw {
            Flaw::RemoveExpiredTakesLive => now.plus(Duration::from_hours(2)),
            Flaw::RemoveExpiredDoesNothing => Timestamp::ZERO,
            _ => now,
        };
        Ok(self.step(|map| {
            let before = map.len();
            map.retain(|_, slot| {
                let by_first = self.is(Flaw::RemoveExpiredByFirstExpiry);
                let ends = if by_first { slot.first_expiry } else { slot.expires_at };
                ends.map_or(!self.is(Flaw::RemoveExpiredTakesEndless), |at| at > by)
            });
            let expired = map.values().filter(|slot| !self.is_live(slot)).count();
            (before - map.len() + expired) as u64
        }))
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.enter().await?;
        if let Some(cursor) = cursor.as_ref().filter(|_| self.is(Flaw::CursorOnce)) {
            let mut used = lock(&self.world.used_cursors);
            if used.iter().any(|bytes| bytes == cursor.as_bytes()) {
                return Err(ErrorKind::InvalidInput.into());
            }
            used.push(cursor.as_bytes().to_vec());
        }
        let after = match cursor.as_ref().map(position) {
            Some(None) if !self.is(Flaw::CursorOfAnyKind) => return Err(ErrorKind::InvalidInput.into()),
            position => position.flatten(),
        };
        let mut entries = self.entries(Flaw::ScanGivesExpired, Flaw::ScanForgetsTheExpiry, |_| true);
        let start = match after {
            None => 0,
            Some((offset, _)) if self.is(Flaw::ScanByOffset) => offset.min(entries.len()),
            Some((_, last)) => entries.partition_point(|entry| entry.id <= last),
        };
        let end = entries.len().min(start + limit);
        let more = end < entries.len() && !self.is(Flaw::ScanStopsAtTheFirstPage);
        entries.truncate(end);
        entries.drain(..start);
        let next = entries.last().filter(|_| more).map(|last| {
            let (key, id) = (last.id.key().as_str(), last.id.id());
            Cursor::new(format!("{end}:{}:{key}{id}", key.len()).into_bytes())
        });
        if self.is(Flaw::ScanSkipsTheLastOfAPage) && entries.len() > 1 {
            entries.pop();
        }
        Ok(Page::new(entries, next))
    }

    async fn close(&self) -> Result<()> {
        let again = self.closed.swap(true, Ordering::SeqCst);
        if again && self.is(Flaw::CloseOnlyOnce) {
            return Err(Error::new(ErrorKind::Unavailable, "the store was closed"));
        }
        if self.is(Flaw::LosesAllWhenClosed) {
            self.step(Map::clear);
        }
        Ok(())
    }
}

/// The offset and the last id in a cursor.
fn position(cursor: &Cursor) -> Option<(usize, RecordId)> {
    let mut parts = str::from_utf8(cursor.as_bytes()).ok()?.splitn(3, ':');
    let offset = parts.next()?.parse().ok()?;
    let key_len = parts.next()?.parse().ok()?;
    let (key, id) = parts.next()?.split_at_checked(key_len)?;
    Some((offset, RecordId::new(SessionKey::new(key).ok()?, id).ok()?))
}
