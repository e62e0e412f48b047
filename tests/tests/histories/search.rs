//! The search for an order of calls that remembers where it has been (Wing and Gong's, with Lowe's memory).

use std::collections::HashSet;

use consistency_model::SequentialSpec;

use crate::spec::{Call, OneSession, Outcome};

/// A call, when it began, and when it ended with which answer. Without an end it happened at any later moment, or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) call: Call,
    pub(crate) began: usize,
    pub(crate) ended: Option<(usize, Outcome)>,
}

/// Which calls were put in order (a bit for each), and what the session was then.
type Place = (u64, Option<usize>, u64);

/// Whether there is an order in which one session answers like this. At most 64 calls.
pub(crate) fn finds_an_order(steps: &[Step], begin: &OneSession) -> bool {
    assert!(steps.len() <= 64, "a bit for each call");
    go_on(steps, 0, begin, &mut HashSet::new())
}

fn go_on(steps: &[Step], done: u64, session: &OneSession, been: &mut HashSet<Place>) -> bool {
    let left = || (0..steps.len()).filter(|number| done & (1 << number) == 0);
    let ends = left().filter_map(|number| steps[number].ended);
    // Whatever begins later than this comes behind the call that ended then.
    let Some(first_end) = ends.map(|(at, _)| at).min() else {
        return true;
    };
    if !been.insert((done, session.id, session.value)) {
        return false;
    }
    left().filter(|number| steps[*number].began < first_end).any(|number| {
        let mut then = session.clone();
        let outcome = then.invoke(&steps[number].call);
        let fits = steps[number].ended.is_none_or(|(_, answered)| answered == outcome);
        fits && go_on(steps, done | (1 << number), &then, been)
    })
}
