//! What a session is when one call comes after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consistency_model::SequentialSpec;

/// One call. Ids are numbered in the order in which they were given out; values are never used twice, so that a
/// compare-and-swap by content is one by version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get(usize),
    Update(usize, u64),
    /// Puts a value in and gives the one that was there.
    Modify(usize, u64),
    /// Writes over what was seen.
    Commit(usize, u64, u64),
    Touch(usize),
    Rework(usize, usize),
    Delete(usize),
    Revoke,
    Clear,
    /// Whether the key has a session. A listing may give one that is reworked meanwhile under both ids, so the count says nothing.
    List,
}

impl Call {
    /// Whether it matters that nobody knows if it happened.
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Self::Get(_) | Self::List)
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Value(Option<u64>),
    Done,
    NotFound,
    Conflict,
    Told(bool),
    Count(u64),
}

/// The only session of a key.
#[derive(Clone, Debug)]
pub(crate) struct OneSession {
    /// Which id it has, while it is there.
    pub(crate) id: Option<usize>,
    pub(crate) value: u64,
    /// Nobody waits any more for whoever asks: the next question ends its thread.
    pub(crate) given_up: Arc<AtomicBool>,
}

impl OneSession {
    pub(crate) fn new(value: u64) -> Self {
        Self {
            id: Some(0),
            value,
            given_up: Arc::default(),
        }
    }

    fn end(&mut self) -> bool {
        self.id.take().is_some()
    }
}

impl SequentialSpec for OneSession {
    type Op = Call;
    type Ret = Outcome;

    fn invoke(&mut self, call: &Call) -> Outcome {
        if self.given_up.load(Ordering::Relaxed) {
            // The only way out of a checker that takes no limit; without the message of a panic.
            std::panic::resume_unwind(Box::new("given up"));
        }
        let there = |id: usize| self.id == Some(id);
        match *call {
            Call::Get(id) => Outcome::Value(there(id).then_some(self.value)),
            Call::Touch(id) => Outcome::Told(there(id)),
            Call::List => Outcome::Told(self.id.is_some()),
            Call::Delete(id) => Outcome::Told(there(id) && self.end()),
            Call::Revoke => Outcome::Told(self.end()),
            Call::Clear => Outcome::Count(u64::from(self.end())),
            Call::Update(id, _) | Call::Modify(id, _) | Call::Commit(id, ..) | Call::Rework(id, _) if !there(id) => {
                Outcome::NotFound
            }
            Call::Modify(_, value) => Outcome::Value(Some(std::mem::replace(&mut self.value, value))),
            Call::Commit(_, seen, _) if seen != self.value => Outcome::Conflict,
            Call::Update(_, value) | Call::Commit(_, _, value) => {
                self.value = value;
                Outcome::Done
            }
            Call::Rework(_, id) => {
                self.id = Some(id);
                Outcome::Done
            }
        }
    }
}
