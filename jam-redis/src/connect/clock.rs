//! What the server's clock says, near enough to know that a session has not expired.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jam_core::Timestamp;

/// A reading of the server's clock and when it was taken, by this machine's steady clock.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<(Timestamp, Instant)>>);

impl ServerClock {
    /// How long a reading serves.
    const SERVES: Duration = Duration::from_secs(10);
    /// What two clocks and a way there and back may differ by while it does, and more.
    const MARGIN: Duration = Duration::from_secs(2);

    /// Takes down a reading that came with a reply.
    pub(crate) fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
    }

    /// Whether there is a reading to go by.
    pub(crate) fn serves(&self) -> bool {
        self.is_surely_before(Timestamp::MAX)
    }

    /// Whether that moment is surely still to come. If this says no, only the server can tell.
    pub(crate) fn is_surely_before(&self, moment: Timestamp) -> bool {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.is_some_and(|(time, taken)| {
            let since = taken.elapsed();
            since < Self::SERVES && time.plus(since + Self::MARGIN) < moment
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_beyond_the_margin_is_sure() {
        let clock = ServerClock::default();
        let now = Timestamp::from_secs(1_000);
        assert!(!clock.is_surely_before(Timestamp::MAX), "without a reading nothing is");
        clock.set(now);
        assert!(!clock.is_surely_before(now.plus(Duration::from_secs(1))));
        assert!(clock.is_surely_before(now.plus(Duration::from_mins(1))));
    }
}
