//! The records of one session key: mostly a single one, which needs no map of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::Slot;

/// Records by id. Never empty in a table, except while one is being taken out.
pub(super) enum OfKey {
    One(Arc<str>, Slot),
    Many(HashMap<Arc<str>, Slot>),
}

impl OfKey {
    pub(super) fn get(&self, id: &str) -> Option<&Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Many(slots) => slots.get(id),
        }
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Slot> {
        match self {
            Self::One(own, slot) => (**own == *id).then_some(slot),
            Self::Many(slots) => slots.get_mut(id),
        }
    }

    /// Puts a record there, and tells whether there was none.
    pub(super) fn put(&mut self, id: Arc<str>, slot: Slot) -> bool {
        if let Some(there) = self.get_mut(&id) {
            *there = slot;
            return false;
        }
        match std::mem::replace(self, Self::Many(HashMap::new())) {
            Self::One(own, first) => *self = Self::Many(HashMap::from([(own, first), (id, slot)])),
            Self::Many(mut slots) => {
                slots.insert(id, slot);
                *self = Self::Many(slots);
            }
        }
        true
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Slot> {
        match self {
            Self::One(own, _) if **own != *id => None,
            Self::One(..) => match std::mem::replace(self, Self::Many(HashMap::new())) {
                Self::One(_, slot) => Some(slot),
                Self::Many(_) => None,
            },
            Self::Many(slots) => slots.remove(id),
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        match self {
            Self::One(_, slot) if !keep(slot) => *self = Self::Many(HashMap::new()),
            Self::One(..) => {}
            Self::Many(slots) => slots.retain(|_, slot| keep(slot)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(slots) => slots.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        let (one, many) = match self {
            Self::One(id, slot) => (Some((id, slot)), None),
            Self::Many(slots) => (None, Some(slots)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Arc<str>, Slot)> {
        let (one, many) = match self {
            Self::One(id, slot) => (Some((id, slot)), None),
            Self::Many(slots) => (None, Some(slots)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_record_or_many_are_kept_as_in_a_map(
            steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..5_u64), 1..30),
        ) {
            let ids: [Arc<str>; 3] = ["a".into(), "b".into(), "".into()];
            let slot = |version| Slot { payload: Bytes::new(), expires_at: None, version };
            let versions = |slot: Slot| slot.version;
            let mut kept = OfKey::Many(HashMap::new());
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
