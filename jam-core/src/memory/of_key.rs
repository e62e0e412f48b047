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
