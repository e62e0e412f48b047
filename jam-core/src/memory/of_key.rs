//! The records of one session key: mostly one or a few, which need no map of their own.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use super::Slot;

/// Records by id. Never empty in a table, except while one is being taken out.
pub(super) enum OfKey {
    One(Arc<str>, Slot),
    /// Going through a few costs less than hashing an id.
    Few(Vec<(Arc<str>, Slot)>),
    Many(HashMap<Arc<str>, Slot>),
}

impl OfKey {
    const FEW: usize = 8;

    pub(super) fn get(&self, id: &str) -> Option<&Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Few(slots) => slots.iter().find(|(own, _)| **own == *id).map(|(_, slot)| slot),
            Self::Many(slots) => slots.get(id),
        }
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Few(slots) => slots.iter_mut().find(|(own, _)| **own == *id).map(|(_, slot)| slot),
            Self::Many(slots) => slots.get_mut(id),
        }
    }

    /// Puts a record there, and tells whether there was none.
    pub(super) fn put(&mut self, id: Arc<str>, slot: Slot) -> bool {
        if let Self::Many(slots) = self {
            return slots.insert(id, slot).is_none();
        }
        if let Some(there) = self.get_mut(&id) {
            *there = slot;
            return false;
        }
        *self = match mem::replace(self, Self::none()) {
            Self::One(own, first) => Self::Few(vec![(own, first), (id, slot)]),
            Self::Few(mut slots) if slots.len() < Self::FEW => {
                slots.push((id, slot));
                Self::Few(slots)
            }
            full => Self::Many(full.into_iter().chain([(id, slot)]).collect()),
        };
        true
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Slot> {
        match self {
            Self::One(own, _) if **own != *id => None,
            Self::One(..) => mem::replace(self, Self::none())
                .into_iter()
                .next()
                .map(|(_, slot)| slot),
            Self::Few(slots) => {
                let place = slots.iter().position(|(own, _)| **own == *id)?;
                Some(slots.swap_remove(place).1)
            }
            Self::Many(slots) => slots.remove(id),
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        match self {
            Self::One(_, slot) if !keep(slot) => *self = Self::none(),
            Self::One(..) => {}
            Self::Few(slots) => slots.retain(|(_, slot)| keep(slot)),
            Self::Many(slots) => slots.retain(|_, slot| keep(slot)),
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
        let few = few.into_iter().flatten().map(|(id, slot)| (id, slot));
        one.into_iter().chain(few).chain(many.into_iter().flatten())
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Arc<str>, Slot)> {
        let (one, few, many) = match self {
            Self::One(id, slot) => (Some((id, slot)), None, None),
            Self::Few(slots) => (None, Some(slots), None),
            Self::Many(slots) => (None, None, Some(slots)),
        };
        let few = few.into_iter().flatten();
        one.into_iter().chain(few).chain(many.into_iter().flatten())
    }

    const fn none() -> Self {
        Self::Few(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn up_to_eight_records_need_no_map() {
        let mut kept = OfKey::none();
        for number in 1..=9 {
            let slot = Slot {
                payload: Bytes::new(),
                expires_at: None,
                version: number,
            };
            assert!(kept.put(number.to_string().into(), slot));
            assert_eq!(matches!(kept, OfKey::Many(_)), number == 9, "{number}");
        }
    }

    proptest! {
        #[test]
        fn one_record_or_many_are_kept_as_in_a_map(
            steps in prop::collection::vec((0..8_u8, 0..40_usize, 0..5_u64), 1..120),
        ) {
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
                        let new = model.insert(Arc::clone(id), version).is_none();
                        prop_assert_eq!(kept.put(Arc::clone(id), slot(version)), new);
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
