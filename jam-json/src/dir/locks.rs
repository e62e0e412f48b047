//! Who may write to a key inside this process: tasks wait here, not as blocked threads at the lock file.

use std::sync::Arc;

use async_lock::{Mutex, MutexGuardArc};

use super::names::Name;

/// A fixed number of locks; keys share one by chance, which costs a wait and nothing else.
///
/// The lock file of a key alone would be enough for correctness. Waiting for it blocks a thread, though, and hundreds
/// of tasks that want the same session would block hundreds of them.
#[derive(Debug)]
pub(super) struct Locks(Box<[Arc<Mutex<()>>]>);

/// The right to write, until dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held for its locks")] [Option<MutexGuardArc<()>>; 2]);

impl Locks {
    const COUNT: usize = 1024;

    pub(super) fn new() -> Self {
        Self((0..Self::COUNT).map(|_| Arc::default()).collect())
    }

    /// Waits for the turn of one key.
    pub(super) async fn one(&self, key: Name) -> Turn {
        Turn([Some(self.at(Self::index(key)).await), None])
    }

    /// Waits for the turn of two keys, always in the same order, so that two such calls never wait for each other.
    pub(super) async fn two(&self, one: Name, other: Name) -> Turn {
        let (one, other) = (Self::index(one), Self::index(other));
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

    async fn at(&self, index: usize) -> MutexGuardArc<()> {
        self.0[index].lock_arc().await
    }

    fn index(key: Name) -> usize {
        key.spread() % Self::COUNT
    }
}
