//! Which hashes were seen to be free of emulated values, so that a plain command will do.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// A bounded memory: when a generation is full, the one before it is forgotten. What is forgotten is looked at again,
/// by a script in place of a command.
#[derive(Debug, Default)]
pub(crate) struct Known {
    hasher: RandomState,
    generations: Mutex<[HashSet<u64>; 2]>,
}

impl Known {
    const GENERATION: usize = 1 << 16;

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let digest = self.hasher.hash_one(key);
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.iter().any(|seen| seen.contains(&digest))
    }

    pub(crate) fn insert(&self, key: &[u8]) {
        let digest = self.hasher.hash_one(key);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [new, old] = &mut *generations;
        if new.contains(&digest) || old.contains(&digest) {
            return;
        }
        if new.len() >= Self::GENERATION {
            *old = mem::take(new);
        }
        new.insert(digest);
    }

    pub(crate) fn clear(&self) {
        *self.generations.lock().unwrap_or_else(PoisonError::into_inner) = <[HashSet<u64>; 2]>::default();
    }
}
