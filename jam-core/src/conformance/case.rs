//! The cases and their groups.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::report::Verdict;
use super::trial::Trial;
use super::{
    clearing, clock, closing, dropping, durable, endings, expiry, handles, hostile, listing, moving, payloads, races,
    renaming, revival, scanning, secrecy, writing,
};

type Run = for<'a> fn(&'a Trial) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// One promise, checked. Its name says which.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    group: &'static str,
    promise: u8,
    run: Run,
}

impl Case {
    pub(super) const fn new(group: &'static str, promise: u8, name: &'static str, run: Run) -> Self {
        Self {
            name,
            group,
            promise,
            run,
        }
    }

    /// The promise in words, such as `late_replace_does_not_revive_a_removed_record`; the name for
    /// [`Suite::only`](super::Suite::only).
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The group it belongs to.
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// The number of the promise in the docs of [`SessionStore`](crate::SessionStore), if it has one; the others stand
    /// in the text below the list and at the methods.
    pub fn promise(&self) -> Option<u8> {
        (self.promise > 0).then_some(self.promise)
    }

    pub(super) async fn run(&self, trial: &Trial) -> Verdict {
        (self.run)(trial).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("group", &self.group)
            .field("promise", &self.promise())
            .finish_non_exhaustive()
    }
}

/// What a group of cases cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Clock,
    SecondHandle,
    Durability,
}

/// Cases about one thing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) cases: &'static [Case],
}

/// Declares the group of a file: its name, what it needs, and each case with the number of its promise, 0 for none.
macro_rules! group {
    ($name:literal, $need:ident, $($promise:literal => $case:ident,)+) => {
        pub(super) const GROUP: $crate::conformance::case::Group = $crate::conformance::case::Group {
            name: $name,
            need: $crate::conformance::case::Need::$need,
            cases: &[$($crate::conformance::case::Case::new(
                $name, $promise, stringify!($case), |trial| Box::pin($case(trial)),
            )),+],
        };
    };
}
pub(super) use group;

pub(super) const GROUPS: &[Group] = &[
    writing::GROUP,
    expiry::GROUP,
    clock::GROUP,
    renaming::GROUP,
    revival::GROUP,
    listing::GROUP,
    clearing::GROUP,
    scanning::GROUP,
    payloads::GROUP,
    hostile::GROUP,
    races::GROUP,
    endings::GROUP,
    moving::GROUP,
    dropping::GROUP,
    handles::GROUP,
    closing::GROUP,
    durable::GROUP,
    secrecy::GROUP,
];

/// Every case there is, in the order they run.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().flat_map(|group| group.cases)
}
