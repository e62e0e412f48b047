//! One look at a hash at a time: it reads all of the hash, and when it has succeeded nobody else needs to look.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::live::Live;

/// The looks that are under way on one connection.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    hasher: RandomState,
    under_way: Mutex<HashSet<u64>>,
    /// One of them is over.
    over: Notify,
}

impl Looks {
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look under way, until it is dropped, whichever way the call ends.
pub(crate) struct Look {
    live: Arc<Live>,
    hash: u64,
}

impl Look {
    /// The caller's own look at a hash, unless somebody else's is under way.
    pub(crate) fn begin(live: &Arc<Live>, key: &[u8]) -> Option<Self> {
        let hash = live.looks.hasher.hash_one(key);
        let begun = live.looks.lock().insert(hash);
        begun.then(|| Self {
            live: Arc::clone(live),
            hash,
        })
    }

    /// Waits until somebody has made it known that a hash needs no look, or it is the caller's turn to look. With a look
    /// that takes longer than a reply may take there is nothing to wait for: then everyone asks, and hears from the server
    /// what is wrong.
    pub(crate) async fn wait(live: &Arc<Live>, key: &[u8], patience: Duration) -> Option<Self> {
        let turn = async {
            loop {
                let over = live.looks.over.notified();
                if live.knows(key) {
                    return None;
                }
                let look = Self::begin(live, key);
                if look.is_some() {
                    return look;
                }
                over.await;
            }
        };
        tokio::time::timeout(patience, turn).await.unwrap_or_default()
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.live.looks.lock().remove(&self.hash);
        self.live.looks.over.notify_waiters();
    }
}
