//! When something was sent, by two clocks.

use std::time::{Duration, Instant};

use crate::{Clock, Timestamp};

/// A moment by a steady clock and by the clock of the wall: the one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub(super) steady: Instant,
    pub(super) wall: Timestamp,
}

impl Moment {
    /// Now, by the steady clock and by this one.
    pub fn now(clock: &dyn Clock) -> Self {
        Self {
            steady: Instant::now(),
            wall: clock.now(),
        }
    }

    /// How long it has been since `earlier`, by the clock that says more.
    pub fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_duration_since(earlier.steady);
        steady.max(self.wall.since(earlier.wall))
    }
}
