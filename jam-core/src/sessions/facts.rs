//! What happens inside an operation that its span and the metrics tell: noted where it happens, read when it is over.

use std::cell::Cell;

/// What was noted in one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Writes that somebody else was faster at, and that were tried again.
    pub(crate) retries: u64,
    /// Whether an old id led to the session.
    pub(crate) grace: bool,
    /// Sessions that the cap ended.
    pub(crate) evicted: u64,
    /// Records of expired sessions that were removed.
    pub(crate) expired: u64,
    /// Whether an operation that may write had nothing to write this time.
    pub(crate) wrote_nothing: bool,
}

thread_local! {
    /// Those of the operation that this thread is polling.
    static FACTS: Cell<Facts> = const { Cell::new(Facts { retries: 0, grace: false, evicted: 0, expired: 0, wrote_nothing: false }) };
}

/// Adds to the facts of the operation that is being polled.
pub(super) fn note(change: impl FnOnce(&mut Facts)) {
    let mut facts = FACTS.get();
    change(&mut facts);
    FACTS.set(facts);
}

/// While it lives, notes of this thread go to these facts.
pub(super) struct Noting<'a> {
    facts: &'a mut Facts,
    outer: Facts,
}

impl<'a> Noting<'a> {
    pub(super) fn into(facts: &'a mut Facts) -> Self {
        Self {
            outer: FACTS.replace(*facts),
            facts,
        }
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        *self.facts = FACTS.replace(self.outer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_facts_even_one_inside_another() {
        let (mut outer, mut inner) = (Facts::default(), Facts::default());
        {
            let _noting = Noting::into(&mut outer);
            note(|facts| facts.retries += 1);
            {
                let _noting = Noting::into(&mut inner);
                note(|facts| facts.evicted += 5);
            }
            note(|facts| facts.retries += 1);
        }
        assert_eq!((outer.retries, outer.evicted), (2, 0));
        assert_eq!((inner.retries, inner.evicted), (0, 5));
        assert_eq!(FACTS.get(), Facts::default());
    }
}
