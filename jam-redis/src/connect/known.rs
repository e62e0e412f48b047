//! Which hashes were seen to be free of emulated values, so that a plain command will do.

use std::array;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bounded memory without locks, since every call asks it: a digest belongs into one room, and takes somebody's place there
/// when the room is full. What is forgotten is looked at again, by a script in place of a command.
#[derive(Default)]
pub(crate) struct Known {
    hasher: RandomState,
    /// A mebibyte, made when there is something to remember.
    rooms: OnceLock<Box<[Room]>>,
}

/// One line of the processor's cache.
#[repr(align(64))]
struct Room([AtomicU64; Room::PLACES]);

impl Room {
    const PLACES: usize = 8;

    fn empty() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(Known::NOTHING)))
    }

    fn holds(&self, digest: u64) -> bool {
        self.0.iter().any(|place| place.load(Ordering::Relaxed) == digest)
    }
}

impl Known {
    const ROOMS: usize = 1 << 14;
    const NOTHING: u64 = 0;

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let Some(rooms) = self.rooms.get() else {
            return false;
        };
        let digest = self.digest(key);
        pick(rooms, digest).holds(digest)
    }

    pub(crate) fn insert(&self, key: &[u8]) {
        let rooms = self
            .rooms
            .get_or_init(|| (0..Self::ROOMS).map(|_| Room::empty()).collect());
        let digest = self.digest(key);
        let room = pick(rooms, digest);
        if room.holds(digest) {
            return;
        }
        let free = room
            .0
            .iter()
            .find(|place| place.load(Ordering::Relaxed) == Self::NOTHING);
        // The bits that chose no room choose who has to go.
        let place = free.unwrap_or(pick(&room.0, digest >> 61));
        place.store(digest, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        for place in self.rooms.get().into_iter().flatten().flat_map(|room| &room.0) {
            place.store(Self::NOTHING, Ordering::Relaxed);
        }
    }

    fn digest(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key).max(1)
    }
}

/// The remainder is below the length, so it fits.
fn pick<T>(all: &[T], number: u64) -> &T {
    &all[usize::try_from(number % all.len() as u64).unwrap_or(0)]
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Vec<u8> {
        format!("sessions:user{number}").into_bytes()
    }

    #[test]
    fn what_was_seen_is_known_until_it_is_cleared() {
        let known = Known::default();
        assert!(!known.contains(&name(1)));
        known.insert(&name(1));
        known.insert(&name(2));
        assert!(known.contains(&name(1)) && known.contains(&name(2)));
        assert!(!known.contains(&name(3)));
        known.clear();
        assert!(!known.contains(&name(1)) && !known.contains(&name(2)));
    }

    #[test]
    fn half_of_its_places_can_be_used_with_hardly_a_loss_and_more_only_push_others_out() {
        let known = Known::default();
        let half = Known::ROOMS * Room::PLACES / 2;
        (0..half).for_each(|number| known.insert(&name(number)));
        let lost = (0..half).filter(|number| !known.contains(&name(*number))).count();
        assert!(lost < half / 20, "{lost} of {half}");
        for number in 0..8 * half {
            known.insert(&name(number));
            assert!(known.contains(&name(number)));
        }
    }
}
