//! The records of one session key: mostly one or a few, which need no map of their own.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::mem;
use std::sync::Arc;

use super::Slot;

/// Records by id. Never empty in a table, except while one is being taken out.
pub(super) enum OfKey {
    One(Arc<str>, Slot),
    /// Going through a few costs less than hashing an id.
    Few(Vec<Kept>),
    Many(HashMap<Arc<str>, Slot>),
}

/// One of a few.
pub(super) struct Kept {
    end: End,
    id: Arc<str>,
    slot: Slot,
}

/// How an id ends. Ids of one key differ there, mostly by chance (a hash, a UUID), so that those that are not meant are passed over
/// without a look at their texts, each of which stands somewhere else in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End([u8; 8]);

impl End {
    fn of(id: &str) -> Self {
        let id = id.as_bytes();
        Self(id.last_chunk().copied().unwrap_or_else(|| {
            let mut short = [0; 8];
            short[..id.len()].copy_from_slice(id);
            short
        }))
    }
}

impl Kept {
    fn new(id: Arc<str>, slot: Slot) -> Self {
        let end = End::of(&id);
        Self { end, id, slot }
    }

    fn into_pair(self) -> (Arc<str>, Slot) {
        (self.id, self.slot)
    }
}

/// Where the record of that id is.
fn place(slots: &[Kept], id: &str) -> Option<usize> {
    let end = End::of(id);
    slots.iter().position(|own| own.end == end && *own.id == *id)
}

impl OfKey {
    const FEW: usize = 16;

    pub(super) fn get(&self, id: &str) -> Option<&Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Few(slots) => place(slots, id).map(|place| &slots[place].slot),
            Self::Many(slots) => slots.get(id),
        }
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Few(slots) => place(slots, id).map(|place| &mut slots[place].slot),
            Self::Many(slots) => slots.get_mut(id),
        }
    }

    /// Puts a record there, unless one is there that is to stay.
    pub(super) fn put(&mut self, id: Arc<str>, slot: Slot, stays: impl FnOnce(&Slot) -> bool) -> Put {
        if let Self::Many(slots) = self {
            return match slots.entry(id) {
                Occupied(mut there) => replace(there.get_mut(), slot, stays),
                Vacant(place) => {
                    place.insert(slot);
                    Put::New
                }
            };
        }
        if let Some(there) = self.get_mut(&id) {
            return replace(there, slot, stays);
        }
        if let Self::Few(slots) = self
            && slots.len() < Self::FEW
        {
            slots.push(Kept::new(id, slot));
            return Put::New;
        }
        *self = match mem::replace(self, Self::none()) {
            Self::One(own, first) => Self::Few(vec![Kept::new(own, first), Kept::new(id, slot)]),
            full => Self::Many(full.into_iter().chain([(id, slot)]).collect()),
        };
        Put::New
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Slot> {
        let taken = match self {
            Self::One(own, _) if **own != *id => None,
            Self::One(..) => mem::replace(self, Self::none())
                .into_iter()
                .next()
                .map(|(_, slot)| slot),
            Self::Few(slots) => Some(slots.swap_remove(place(slots, id)?).slot),
            Self::Many(slots) => slots.remove(id),
        };
        self.give_back_room();
        taken
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        match self {
            Self::One(_, slot) if !keep(slot) => *self = Self::none(),
            Self::One(..) => {}
            Self::Few(slots) => slots.retain(|own| keep(&own.slot)),
            Self::Many(slots) => slots.retain(|_, slot| keep(slot)),
        }
        self.give_back_room();
    }

    /// Where three quarters of the room are not needed, so that a user who once had many sessions takes up as much as others.
    fn give_back_room(&mut self) {
        match self {
            Self::Few(slots) if slots.capacity() > 4 * slots.len() => slots.shrink_to_fit(),
            Self::Many(slots) if slots.capacity() > 4 * slots.len() => {
                if slots.len() > Self::FEW / 2 {
                    slots.shrink_to_fit();
                } else {
                    let few = mem::take(slots).into_iter();
                    *self = Self::Few(few.map(|(id, slot)| Kept::new(id, slot)).collect());
                }
            }
            _ => {}
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Few(slots) => slots.capacity(),
            Self::Many(slots) => slots.capacity(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Few(slots) => slots.len(),
            Self::Many(slots) => slots.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        let (one, few, many) = match self {
            Self::One(id, slot) => (Some((id, slot)), None, None),
            Self::Few(slots) => (None, Some(slots), None),
            Self::Many(slots) => (None, None, Some(slots)),
        };
        let few = few.into_iter().flatten().map(|own| (&own.id, &own.slot));
        one.into_iter().chain(few).chain(many.into_iter().flatten())
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Arc<str>, Slot)> {
        let (one, few, many) = match self {
            Self::One(id, slot) => (Some((id, slot)), None, None),
            Self::Few(slots) => (None, Some(slots), None),
            Self::Many(slots) => (None, None, Some(slots)),
        };
        let few = few.into_iter().flatten().map(Kept::into_pair);
        one.into_iter().chain(few).chain(many.into_iter().flatten())
    }

    const fn none() -> Self {
        Self::Few(Vec::new())
    }
}

/// What became of a record that was to be put somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there, where none was.
    New,
    /// It is there in the place of another one.
    Replaced,
    /// It is not, since the one that is there stays.
    Refused,
}

fn replace(there: &mut Slot, slot: Slot, stays: impl FnOnce(&Slot) -> bool) -> Put {
    if stays(there) {
        return Put::Refused;
    }
    *there = slot;
    Put::Replaced
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn room_that_one_key_had_for_many_is_given_back() {
        for by_one in [true, false] {
            let id = |number: usize| Arc::<str>::from(format!("session{number}"));
            let mut kept = OfKey::none();
            for number in 0..5_000 {
                let slot = Slot {
                    payload: Bytes::new(),
                    expires_at: None,
                    version: number as u64,
                };
                kept.put(id(number), slot, |_| true);
            }
            assert!(kept.capacity() >= 5_000);
            for left in [1_000, 100, 9, 3, 1] {
                if by_one {
                    (0..5_000).skip(left).for_each(|number| drop(kept.take(&id(number))));
                } else {
                    kept.retain(|slot| slot.version < left as u64);
                }
                assert_eq!(kept.len(), left);
                assert!(kept.capacity() <= 4 * left, "{} for {left}", kept.capacity());
                assert_eq!(kept.get("session0").map(|slot| slot.version), Some(0));
            }
            assert!(matches!(kept, OfKey::Few(_)));
        }
    }

    fn with(records: u64) -> OfKey {
        let mut kept = OfKey::none();
        for number in 0..records {
            let slot = Slot {
                payload: Bytes::new(),
                expires_at: None,
                version: number,
            };
            kept.put(number.to_string().into(), slot, |_| true);
        }
        kept
    }

    #[test]
    fn room_is_kept_where_a_quarter_of_it_is_needed() {
        for (records, left) in [(5_000, 2_000), (16, 4), (16, 5)] {
            let mut kept = with(records);
            let room = kept.capacity();
            assert!(room <= 4 * left, "{room}");
            kept.retain(|slot| slot.version < left as u64);
            assert_eq!(kept.len(), left);
            // A map counts places that were left as taken.
            assert!(kept.capacity() > room / 2, "{} of {room}", kept.capacity());
        }
    }

    #[test]
    fn few_of_many_that_are_left_need_no_map_any_more() {
        for left in [9, 8] {
            let mut kept = with(5_000);
            kept.retain(|slot| slot.version < left);
            assert_eq!(matches!(kept, OfKey::Many(_)), left == 9, "{left}");
        }
    }

    #[test]
    fn up_to_sixteen_records_need_no_map() {
        let mut kept = OfKey::none();
        for number in 1..=17 {
            let slot = Slot {
                payload: Bytes::new(),
                expires_at: None,
                version: number,
            };
            assert_eq!(kept.put(number.to_string().into(), slot, |_| true), Put::New);
            assert_eq!(matches!(kept, OfKey::Many(_)), number == 17, "{number}");
        }
    }

    proptest! {
        #[test]
        fn one_record_or_many_are_kept_as_in_a_map(
            steps in prop::collection::vec((0..8_u8, 0..40_usize, 0..5_u64), 1..120),
        ) {
            // Those of more than eight characters all end alike.
            let ids: Vec<Arc<str>> = (0..40).map(|number| "x".repeat(number).into()).collect();
            let slot = |version| Slot { payload: Bytes::new(), expires_at: None, version };
            let versions = |slot: Slot| slot.version;
            let mut kept = OfKey::none();
            let mut model = BTreeMap::new();
            for (step, id, version) in steps {
                let id = &ids[id];
                match step {
                    0 => {
                        prop_assert_eq!(kept.take(id).map(versions), model.remove(id));
                        if model.is_empty() {
                            kept = OfKey::One(Arc::clone(id), slot(version));
                            model.insert(Arc::clone(id), version);
                        }
                    }
                    1 => {
                        kept.retain(|slot| slot.version != version);
                        model.retain(|_, own| *own != version);
                    }
                    _ => {
                        let stays = |there: u64| step == 2 && there > version;
                        let expected = match model.get(id) {
                            Some(there) if stays(*there) => Put::Refused,
                            Some(_) => Put::Replaced,
                            None => Put::New,
                        };
                        if expected != Put::Refused {
                            model.insert(Arc::clone(id), version);
                        }
                        let put = kept.put(Arc::clone(id), slot(version), |there| stays(there.version));
                        prop_assert_eq!(put, expected);
                    }
                }
                prop_assert_eq!(kept.len(), model.len());
                prop_assert_eq!(kept.get(id).map(|slot| slot.version), model.get(id).copied());
                let all: BTreeMap<_, _> = kept.iter().map(|(id, slot)| (Arc::clone(id), slot.version)).collect();
                prop_assert_eq!(&all, &model);
            }
            let taken: BTreeMap<_, _> = kept.into_iter().map(|(id, slot)| (id, slot.version)).collect();
            prop_assert_eq!(taken, model);
        }
    }
}
