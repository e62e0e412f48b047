//! Who may write to a key: inside this process tasks wait here, not as blocked threads at the lock file, and between
//! processes there are lock files.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
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
pub(super) struct KeptLocks {
    slots: Box<[BlockingMutex<Option<KeptLock>>]>,
    /// How many there are, and how many there may be.
    count: AtomicUsize,
    most: usize,
}

impl KeptLocks {
    /// For at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            slots: (0..Name::SLOTS).map(|_| BlockingMutex::default()).collect(),
            count: AtomicUsize::new(0),
            most,
        }
    }

    /// For an eighth of the files that this process may have open, for this store: the others are for what else it does, which
    /// does not know that these could be closed.
    pub(super) fn for_this_process() -> Self {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self::new(open_files(&limits).unwrap_or(OPEN_FILES) / 8)
    }

    /// The one of this slot, if there is one. Whoever has it has it alone.
    pub(super) fn take(&self, slot: u8) -> Option<KeptLock> {
        let kept = self.at(slot).take()?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(kept)
    }

    /// Keeps one, if there is room; otherwise it is closed.
    fn put(&self, slot: u8, lock: KeptLock) {
        let mut place = self.at(slot);
        let room = |count| (count < self.most).then_some(count + 1);
        if place.is_none()
            && self
                .count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
                .is_ok()
        {
            *place = Some(lock);
        }
    }

    /// Closes them.
    pub(super) fn close(&self) {
        for slot in 0..=u8::MAX {
            drop(self.take(slot));
        }
    }

    fn at(&self, slot: u8) -> MutexGuard<'_, Option<KeptLock>> {
        self.slots[usize::from(slot)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many files a process may have open where the system does not tell it in `/proc`: the smallest number that is a
/// default anywhere (macOS).
const OPEN_FILES: usize = 256;

/// The number in force, by `/proc/self/limits`.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        soft => soft.parse().ok(),
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

    /// Whether the file is known to be root's.
    pub(super) fn is_roots(&self) -> bool {
        self.lock.as_ref().is_some_and(LockFile::is_roots)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(kept) = self.lock.take().and_then(LockFile::keep) {
            self.kept.put(self.slot, kept);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use jam_core::SystemClock;

    use super::super::disk::Disk;
    use super::super::names::Layout;
    use super::*;
    use crate::Durability;
    use crate::fs::{Fs, RealFs};

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

    #[test]
    fn no_more_are_kept_than_there_may_be() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = |slot: u8| {
            let lock = RealFs.lock(&directory.path().join(slot.to_string())).expect("locked");
            lock.keep().expect("kept")
        };
        let kept = KeptLocks::new(2);
        for slot in 0..4 {
            kept.put(slot, file(slot));
        }
        let there = |kept: &KeptLocks| (0..=u8::MAX).filter(|slot| kept.at(*slot).is_some()).count();
        assert_eq!(there(&kept), 2);
        kept.put(0, file(0));
        assert!(kept.take(0).is_some() && kept.take(3).is_none());
        kept.put(3, file(3));
        kept.put(2, file(2));
        assert_eq!(there(&kept), 2, "the second one of slot 0 took no place");
        kept.close();
        assert_eq!(there(&kept), 0);
        kept.put(2, file(2));
        assert_eq!(there(&kept), 1, "closed ones make room");
    }

    #[test]
    fn the_limit_in_force_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files(&limits.replace("1024", "unlimited")), Some(usize::MAX));
        for unknown in ["", "Max open files", "Max open files  x"] {
            assert_eq!(open_files(unknown), None);
        }
    }
}
