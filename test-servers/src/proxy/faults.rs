//! What is wrong with the network at this moment, and what that means for the next bytes.

use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::link::Link;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Reply,
}

/// Everything that can be wrong, together.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) hold: bool,
    pub(super) refuse: bool,
    pub(super) drop_replies: bool,
    /// The longest piece.
    pub(super) split: Option<u8>,
    pub(super) delay: Option<RangeInclusive<Duration>>,
    pub(super) requests_left: Option<usize>,
    pub(super) replies_left: Option<usize>,
}

/// What all connections of a proxy share.
#[derive(Debug, Default)]
pub(super) struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    links: Vec<Weak<Link>>,
    closed: bool,
}

impl State {
    fn sever(&mut self) {
        self.links
            .drain(..)
            .filter_map(|link| link.upgrade())
            .for_each(|link| link.cut());
    }

    fn left(&mut self, direction: Direction) -> &mut Option<usize> {
        match direction {
            Direction::Request => &mut self.faults.requests_left,
            Direction::Reply => &mut self.faults.replies_left,
        }
    }
}

impl Network {
    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
        self.changed.notify_all();
    }

    pub(super) fn sever(&self) {
        self.state().sever();
        self.changed.notify_all();
    }

    pub(super) fn strand(&self) {
        let state = self.state();
        state
            .links
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|link| link.strand());
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.sever();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(super) fn refuses(&self) -> bool {
        self.state().faults.refuse
    }

    pub(super) fn add(&self, link: &Arc<Link>) {
        let mut state = self.state();
        if state.closed {
            link.cut();
        }
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(link));
    }

    /// Waits while nothing passes; false if the connection is cut meanwhile.
    pub(super) fn wait_while_held(&self, link: &Link) -> bool {
        drop(self.held(link));
        !link.is_cut()
    }

    /// Waits until the next of `length` bytes may pass; how many of them may, or none if the connection is cut.
    pub(super) fn admit(&self, link: &Link, direction: Direction, length: usize, random: &mut Random) -> Option<usize> {
        let mut state = self.held(link);
        if let Some(range) = &state.faults.delay {
            let until = Instant::now() + random.duration(range);
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if link.is_cut() {
                    return None;
                }
                state = self
                    .changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        let split = state.faults.split;
        let dropped = state.faults.drop_replies && direction == Direction::Reply;
        let left = state.left(direction);
        // Somebody else is passing the very last bytes on.
        if dropped || *left == Some(0) {
            link.cut();
        }
        if link.is_cut() {
            return None;
        }
        let most = length.min(left.unwrap_or(length));
        let piece = split.map_or(most, |longest| random.up_to(longest).min(most));
        if let Some(left) = left {
            *left -= piece;
        }
        Some(piece)
    }

    /// Says that admitted bytes have passed; if they were the last ones, that is the end of all connections.
    pub(super) fn passed(&self, direction: Direction) {
        let mut state = self.state();
        if state.left(direction).take_if(|left| *left == 0).is_some() {
            state.sever();
            self.changed.notify_all();
        }
    }

    fn held(&self, link: &Link) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.state(), |state| {
                (state.faults.hold || link.is_stranded()) && !link.is_cut()
            })
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `SplitMix64`: chance that is the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One to `most`.
    fn up_to(&mut self, most: u8) -> usize {
        usize::from(u8::try_from(self.next() % u64::from(most)).unwrap_or_default()) + 1
    }

    fn duration(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let width = u64::try_from(range.end().saturating_sub(*range.start()).as_nanos()).unwrap_or(u64::MAX - 1);
        *range.start() + Duration::from_nanos(self.next() % (width + 1))
    }
}
