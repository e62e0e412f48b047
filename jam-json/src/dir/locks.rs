//! Who may write to a key: inside this process tasks wait here, not as blocked threads at the lock file, and between
//! processes there are lock files.

use std::sync::{Arc, Mutex as BlockingMutex, MutexGuard, PoisonError};

use async_lock::{Mutex, MutexGuardArc};

use super::names::Name;
use crate::fs::{KeptLock, LockFile};

/// A lock for each slot; keys share one by chance, which costs a wait.
///
/// The lock file of a slot alone would be enough for correctness. Waiting for it blocks a thread, though, and hundreds
/// of tasks that want the same session would block hundreds of them.
#[derive(Debug)]
pub(super) struct Locks(Box<[Arc<Mutex<()>>]>);

/// The right to write, until dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held for its locks")] [Option<MutexGuardArc<()>>; 2]);

impl Locks {
    pub(super) fn new() -> Self {
        Self((0..Name::SLOTS).map(|_| Arc::default()).collect())
    }

    /// Waits for the turn of one key.
    pub(super) async fn one(&self, key: Name) -> Turn {
        Turn([Some(self.at(key.slot()).await), None])
    }

    /// Waits for the turn of two keys, always in the same order, so that two such calls never wait for each other.
    pub(super) async fn two(&self, one: Name, other: Name) -> Turn {
        let (one, other) = (one.slot(), other.slot());
        let first = self.at(one.min(other)).await;
        let second = if one == other {
            None
        } else {
            Some(self.at(one.max(other)).await)
        };
        Turn([Some(first), second])
    }

    /// Waits until everybody who has a turn now is done.
    pub(super) async fn settle(&self) {
        for lock in &self.0 {
            drop(lock.lock().await);
        }
    }

    async fn at(&self, slot: u8) -> MutexGuardArc<()> {
        self.0[usize::from(slot)].lock_arc().await
    }
}

/// Lock files that are open and that nobody uses just now, one of each slot at most: to open one costs as much as a tenth
/// of a write.
#[derive(Debug)]
pub(super) struct KeptLocks(Box<[BlockingMutex<Option<KeptLock>>]>);

impl KeptLocks {
    pub(super) fn new() -> Self {
        Self((0..Name::SLOTS).map(|_| BlockingMutex::default()).collect())
    }

    /// The one of this slot, if there is one. Whoever has it has it alone.
    pub(super) fn take(&self, slot: u8) -> Option<KeptLock> {
        self.at(slot).take()
    }

    /// Closes them.
    pub(super) fn close(&self) {
        for slot in 0..=u8::MAX {
            drop(self.take(slot));
        }
    }

    fn at(&self, slot: u8) -> MutexGuard<'_, Option<KeptLock>> {
        self.0[usize::from(slot)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lock of a slot between processes, until dropped. Its file then stays open for the next one.
#[derive(Debug)]
pub(super) struct Held<'a> {
    kept: &'a KeptLocks,
    slot: u8,
    lock: Option<LockFile>,
}

impl<'a> Held<'a> {
    pub(super) fn new(kept: &'a KeptLocks, slot: u8, lock: LockFile) -> Self {
        Self {
            kept,
            slot,
            lock: Some(lock),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(kept) = self.lock.take().and_then(LockFile::keep) {
            self.kept.at(self.slot).get_or_insert(kept);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use jam_core::SystemClock;

    use super::super::disk::Disk;
    use super::super::names::Layout;
    use super::*;
    use crate::Durability;
    use crate::fs::RealFs;

    fn disk(root: &Path) -> Disk {
        let layout = Layout::new(root.to_owned(), "jam_".to_owned());
        Disk::new(Arc::new(RealFs), layout, Durability::Os, Arc::new(SystemClock))
    }

    /// The lock file of that key, held as another process would.
    fn held_elsewhere(disk: &Disk, key: Name) -> File {
        let options = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(disk.layout.lock(key.slot()));
        let file = options.expect("opened");
        file.try_lock().expect("nobody else has it");
        file
    }

    #[test]
    fn the_file_is_kept_open_and_its_lock_is_not_held() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (disk, key) = (disk(directory.path()), Name::of("user1"));
        let kept = || disk.kept().at(key.slot()).is_some();
        assert!(!kept());
        let folder = disk.lock(key).expect("locked");
        assert!(
            disk.try_lock(key).expect("asked").is_none(),
            "a second handle does not get it"
        );
        drop(folder);
        assert!(kept());
        drop(held_elsewhere(&disk, key));
        drop(disk.lock_existing(key).expect("locked").expect("there"));
        disk.let_go();
        assert!(!kept());
    }

    #[test]
    fn a_kept_file_is_no_way_around_another_process() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (disk, key) = (disk(directory.path()), Name::of("user1"));
        drop(disk.lock(key).expect("locked"));
        let other = held_elsewhere(&disk, key);
        assert!(disk.try_lock(key).expect("asked").is_none());
        drop(other);
        assert!(disk.try_lock(key).expect("asked").is_some());
    }

    #[test]
    fn a_kept_file_that_lost_its_name_guards_nothing_any_more() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().join("sessions");
        fs::create_dir(&root).expect("created");
        let (disk, key) = (disk(&root), Name::of("user1"));
        let lose: [&dyn Fn(); 2] = [
            &|| fs::remove_file(disk.layout.lock(key.slot())).expect("removed"),
            // As who puts a backup in its place.
            &|| {
                fs::rename(&root, directory.path().join("old")).expect("renamed");
                fs::create_dir(&root).expect("created");
            },
        ];
        for lose in lose {
            drop(disk.lock(key).expect("locked"));
            lose();
            let other = held_elsewhere(&disk, key);
            assert!(disk.try_lock(key).expect("asked").is_none());
            drop(other);
            assert!(disk.try_lock(key).expect("asked").is_some());
        }
        drop(disk.lock(key).expect("locked"));
        fs::remove_file(disk.layout.lock(key.slot())).expect("removed");
        assert!(
            disk.lock_existing(key).expect("asked").is_none(),
            "as if it never had a session"
        );
    }
}
