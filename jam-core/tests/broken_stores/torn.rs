//! Flaws that show only when something comes in between: operations in several steps.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;

use jam_core::{Error, ErrorKind, RecordId, Renewal, Result, Stored, Timestamp, Version};

use crate::flaw::Flaw;
use crate::store::{Map, Naive, Slot, lock};

/// Lets other tasks run, as waiting for a disk or a server does.
async fn wait() {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Naive {
    pub(crate) async fn queue(&self) -> Result<()> {
        if self.is(Flaw::DropLeavesTheLock) {
            while self.world.locked.swap(true, Ordering::SeqCst) {
                wait().await;
            }
            wait().await;
            self.world.locked.store(false, Ordering::SeqCst);
        }
        if self.is(Flaw::RefusesWhenBusy) {
            let others = self.world.busy.fetch_add(1, Ordering::SeqCst);
            wait().await;
            self.world.busy.fetch_sub(1, Ordering::SeqCst);
            if others > 2 {
                return Err(Error::new(ErrorKind::Unavailable, "too many calls at once"));
            }
        }
        Ok(())
    }

    /// Replies come back in the order of the calls; one that nobody waits for goes to the next who does.
    pub(crate) async fn reply(&self, stored: Option<Stored>) -> Option<Stored> {
        if !self.is(Flaw::RepliesInTurn) {
            return stored;
        }
        lock(&self.world.replies).push_back(stored);
        wait().await;
        lock(&self.world.replies).pop_front().flatten()
    }

    pub(crate) async fn insert_torn(&self, id: &RecordId, slot: &Slot) -> Result<bool> {
        let half = match self.flaw {
            Flaw::InsertChecksThenWrites => None,
            Flaw::DropTearsAnInsert => Some(Slot {
                payload: slot.payload.slice(..slot.payload.len() / 2),
                ..slot.clone()
            }),
            _ => return Ok(false),
        };
        self.step(|map| {
            if !self.is_free(map, id) {
                return Err(Error::from(ErrorKind::AlreadyExists));
            }
            if let Some(half) = half {
                map.insert(id.clone(), half);
            }
            Ok(())
        })?;
        wait().await;
        self.step(|map| map.insert(id.clone(), slot.clone()));
        Ok(true)
    }

    pub(crate) async fn load_torn(&self, id: &RecordId, renew: Option<Renewal>) -> Option<Option<Stored>> {
        let renewal = renew.filter(|_| self.is(Flaw::RenewalWritesBack))?;
        let read = self.step(|map| self.live(map, id, Flaw::None).cloned());
        let Some(mut slot) = read else { return Some(None) };
        if renewal.is_due(slot.expires_at) {
            wait().await;
            slot.expires_at = Some(renewal.to);
            self.step(|map| map.insert(id.clone(), slot.clone()));
        }
        Some(Some(Self::stored(&slot)))
    }

    pub(crate) async fn replace_torn(&self, id: &RecordId, expected: Option<&Version>, slot: &Slot) -> Result<bool> {
        let at_once = self.is(Flaw::ReplaceLocksTwice);
        let checks = at_once || self.is(Flaw::ReplaceChecksThenWrites);
        if !checks && !self.is(Flaw::ReplaceInTwoSteps) {
            return Ok(false);
        }
        self.step(|map| {
            let old = self.expect(map, id, expected, Flaw::None)?.clone();
            if !checks {
                let payload = slot.payload.clone();
                map.insert(id.clone(), Slot { payload, ..old });
            }
            Ok::<_, ErrorKind>(())
        })?;
        if !at_once {
            wait().await;
        }
        self.step(|map| {
            if checks || map.contains_key(id) {
                map.insert(id.clone(), slot.clone());
            }
        });
        Ok(true)
    }

    pub(crate) async fn touch_torn(&self, id: &RecordId, expires_at: Timestamp) -> Option<bool> {
        let hides = self.is(Flaw::DropTearsATouch);
        if !hides && !self.is(Flaw::TouchWritesBack) {
            return None;
        }
        let read = self.step(|map| {
            let slot = self.live(map, id, Flaw::None).cloned()?;
            if hides {
                map.remove(id);
            }
            Some(slot)
        });
        let Some(mut slot) = read else { return Some(false) };
        wait().await;
        slot.expires_at = slot.expires_at.map(|at| at.max(expires_at));
        self.step(|map| map.insert(id.clone(), slot));
        Some(true)
    }

    pub(crate) async fn rename_torn(
        &self,
        from: &RecordId,
        expected: Option<&Version>,
        to: &RecordId,
        slot: &Slot,
    ) -> Result<bool, ErrorKind> {
        let removes_first = self.is(Flaw::RenameRemovesFirst);
        if !removes_first && !self.is(Flaw::RenameInsertsFirst) {
            return Ok(false);
        }
        self.step(|map| {
            self.expect(map, from, expected, Flaw::None)?;
            if self.live(map, to, Flaw::None).is_some() {
                return Err(ErrorKind::AlreadyExists);
            }
            if removes_first {
                self.take(map, from);
            } else {
                map.insert(to.clone(), slot.clone());
            }
            Ok(())
        })?;
        wait().await;
        self.step(|map| {
            if removes_first {
                map.insert(to.clone(), slot.clone());
            } else {
                self.take(map, from);
            }
        });
        Ok(true)
    }

    pub(crate) async fn remove_torn(&self, id: &RecordId) -> Option<bool> {
        if !self.is(Flaw::RemoveChecksThenRemoves) {
            return None;
        }
        let live = self.step(|map| self.live(map, id, Flaw::None).is_some());
        wait().await;
        self.step(|map| self.take(map, id));
        Some(live)
    }

    pub(crate) async fn clear_torn(
        &self,
        ids: impl Fn(&Map) -> Vec<RecordId>,
        counts: impl Fn(&RecordId, &Slot) -> bool,
    ) -> Option<u64> {
        if self.is(Flaw::ClearCountsFirst) {
            let count = self.step(|map| ids(map).iter().filter(|id| counts(id, &map[*id])).count());
            wait().await;
            self.step(|map| ids(map).iter().for_each(|id| drop(self.take(map, id))));
            return Some(count as u64);
        }
        if !self.is(Flaw::ClearOneByOne) {
            return None;
        }
        let mut count = 0;
        for id in self.step(|map| ids(map)) {
            wait().await;
            let taken = self.step(|map| self.take(map, &id));
            count += u64::from(taken.is_some_and(|slot| counts(&id, &slot)));
        }
        Some(count)
    }
}
