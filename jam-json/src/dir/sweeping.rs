//! Sweeps of the whole storage directory, and who helps with them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::vec;

use jam_core::{Error, Result, Timestamp};

use super::disk::Disk;
use super::folder::Folder;
use super::names::{Item, Name};
use super::sweep::{Look, look, sweep};

/// Removes sessions that have expired by `now`, and tells how many.
///
/// # Errors
/// The first one that was met, after everything else was swept all the same.
pub(super) fn expired(disk: &Disk, now: Timestamp) -> Result<u64> {
    let sweep = Arc::new(Sweep::begun(disk, now)?);
    let others_help = disk.sweeps.begin(&sweep);
    let result = sweep.finish(disk);
    drop(others_help);
    result
}

/// A sweep under way. Writers may help with it: where many sessions are created and none lives for long, one thread
/// among many does not remove as much as comes.
#[derive(Debug)]
pub(super) struct Sweep {
    now: Timestamp,
    state: Mutex<State>,
    /// That nobody is at a step.
    at_rest: Condvar,
}

#[derive(Debug, Default)]
struct State {
    left: vec::IntoIter<Item>,
    /// What somebody else had locked when a helper came to it. One more tries it after all that is left.
    later: VecDeque<Item>,
    /// What was locked then as well. Whose sweep it is waits for it.
    locked: Vec<Item>,
    at_work: usize,
    /// Keys that were looked at.
    looked_at: u64,
    removed: u64,
    inserted: u64,
    trouble: Option<Error>,
}

impl State {
    /// It does not remove twice as much as is created, and not because there is little to remove. Only as much, and what is
    /// created between two sweeps would pile up.
    fn is_behind(&self) -> bool {
        self.inserted * 2 > self.removed + Sweep::SLACK && self.removed > self.looked_at / 2
    }

    /// Whether there is anything that a helper may try.
    fn has_more(&self) -> bool {
        !(self.left.as_slice().is_empty() && self.later.is_empty())
    }
}

/// What a visit of one entry came to.
#[derive(Debug, Default)]
struct Visit {
    removed: u64,
    /// There was something to look at.
    met: bool,
    /// Somebody else has it locked.
    locked: bool,
}

/// Somebody is at a step, until dropped.
struct AtWork<'a>(&'a Sweep);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.at_work -= 1;
        if state.at_work == 0 {
            self.0.at_rest.notify_all();
        }
    }
}

impl Sweep {
    /// It may lag by so much before others help.
    const SLACK: u64 = 256;
    /// With so many steps each: where each of them removes a session, what is created meanwhile is half of what goes.
    pub(super) const HELP: usize = 2;

    /// Of all that is in the storage directory now.
    fn begun(disk: &Disk, now: Timestamp) -> Result<Self> {
        let state = State {
            left: disk.items()?.into_iter(),
            ..State::default()
        };
        Ok(Self {
            now,
            state: Mutex::new(state),
            at_rest: Condvar::new(),
        })
    }

    /// Notes that a session was created meanwhile, and tells whether its writer is to help.
    pub(super) fn heed_insert(&self) -> bool {
        let mut state = self.lock();
        state.inserted += 1;
        state.is_behind() && state.has_more()
    }

    /// One more step by somebody else than whose sweep it is. Waits for no lock file: one that another process holds for long
    /// would block a thread for each key behind it.
    pub(super) fn help(&self, disk: &Disk) {
        let next = |state: &mut State| {
            let first = state.left.next().map(|item| (item, false));
            first.or_else(|| state.later.pop_front().map(|item| (item, true)))
        };
        let Some((item, again)) = self.next(disk, next) else {
            return;
        };
        self.visit(disk, item, again, |key| disk.try_lock(key));
    }

    /// Looks at one more entry of the storage directory, if there is one and the store is open.
    fn step(&self, disk: &Disk) -> bool {
        let next = |state: &mut State| {
            let first = state.left.next().or_else(|| state.later.pop_front());
            first.or_else(|| state.locked.pop())
        };
        let item = self.next(disk, next);
        if let Some(item) = item {
            self.visit(disk, item, true, |key| disk.lock(key).map(Some));
        }
        item.is_some()
    }

    /// What to visit. Who takes something counts as at work.
    fn next<T>(&self, disk: &Disk, take: impl FnOnce(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        let taken = take(&mut state)?;
        if let Err(closed) = disk.open() {
            state.left = vec::IntoIter::default();
            state.later.clear();
            state.locked.clear();
            state.trouble.get_or_insert(closed);
            return None;
        }
        state.at_work += 1;
        Some(taken)
    }

    /// Takes away what nobody needs there; later, if somebody has it locked and that is not waited for.
    fn visit<'a>(
        &self,
        disk: &'a Disk,
        item: Item,
        again: bool,
        lock: impl FnOnce(Name) -> Result<Option<Folder<'a>>>,
    ) {
        let _at_work = AtWork(self);
        let mut visit = Visit::default();
        let taken = self.take_away(disk, item, lock, &mut visit);
        let mut state = self.lock();
        state.removed += visit.removed;
        match (visit.locked, again) {
            (false, _) => state.looked_at += u64::from(visit.met),
            (true, false) => state.later.push_back(item),
            (true, true) => state.locked.push(item),
        }
        if let Err(error) = taken {
            state.trouble.get_or_insert(error);
        }
    }

    fn take_away<'a>(
        &self,
        disk: &'a Disk,
        item: Item,
        lock: impl FnOnce(Name) -> Result<Option<Folder<'a>>>,
        visit: &mut Visit,
    ) -> Result<()> {
        let key = match item {
            Item::Dirt => return disk.unlink(&disk.layout.dirt(disk.layout.root())).map(drop),
            Item::Trash(key) => key,
            Item::Key(key) => {
                let look = look(disk, &disk.layout.key_dir(key), key, self.now)?;
                visit.met = look != Look::Gone;
                if look != Look::Sweep {
                    return Ok(());
                }
                key
            }
        };
        let Some(folder) = lock(key)? else {
            visit.locked = true;
            return Ok(());
        };
        match item {
            Item::Trash(_) => folder.empty_trash(),
            _ => sweep(&folder, self.now, &mut visit.removed),
        }
    }

    /// Takes every step that is left, and what helpers could not; gives what all of it came to.
    fn finish(&self, disk: &Disk) -> Result<u64> {
        while self.step(disk) || !self.rests() {}
        self.end()
    }

    /// Waits for those who help, and tells whether they left nothing to whose sweep it is.
    fn rests(&self) -> bool {
        let state = self.wait_for_helpers();
        !state.has_more() && state.locked.is_empty()
    }

    /// What it came to so far.
    fn end(&self) -> Result<u64> {
        let mut state = self.wait_for_helpers();
        state.trouble.take().map_or(Ok(state.removed), Err)
    }

    fn wait_for_helpers(&self) -> MutexGuard<'_, State> {
        let waited = self.at_rest.wait_while(self.lock(), |state| state.at_work > 0);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sweep that writers of this process help with, if there is one.
#[derive(Debug, Default)]
pub(super) struct Sweeps(Mutex<Option<Arc<Sweep>>>);

/// A sweep is known to others, until dropped.
struct Known<'a>(&'a Sweeps);

impl Drop for Known<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Sweeps {
    /// Makes this sweep known, unless there is one already, which is enough.
    fn begin(&self, sweep: &Arc<Sweep>) -> Option<Known<'_>> {
        let mut known = self.lock();
        if known.is_some() {
            return None;
        }
        *known = Some(Arc::clone(sweep));
        Some(Known(self))
    }

    /// The one that is known.
    pub(super) fn known(&self) -> Option<Arc<Sweep>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Sweep>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
