//! What the server's clock says, near enough to know that a session has not expired.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jam_core::Timestamp;

/// A moment by both of this machine's clocks: the steady one stands still while the machine sleeps, the other one is
/// set now and then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// What the two clocks may differ by over a few seconds.
    const TOLERANCE: Duration = Duration::from_secs(1);

    pub(crate) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How long it is from then to here; `None` if the clocks disagree, so that nobody knows.
    pub(crate) fn since(self, then: Self) -> Option<Duration> {
        let steady = self.steady.saturating_duration_since(then.steady);
        let wall = self.wall.duration_since(then.wall).ok()?;
        (steady.abs_diff(wall) <= Self::TOLERANCE).then_some(steady)
    }
}

/// A reading of the server's clock, and when it was asked for.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<(Timestamp, Moment)>>);

impl ServerClock {
    /// How long a reading serves.
    const SERVES: Duration = Duration::from_secs(10);
    /// What two clocks may differ by while it does, and more.
    const MARGIN: Duration = Duration::from_secs(2);

    /// Takes down a reading, and when it was asked for: however long the reply was under way, the server's clock is not
    /// ahead of what is reckoned from there.
    pub(crate) fn set(&self, time: Timestamp, asked: Moment) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, asked));
    }

    /// Whether there is a reading to go by.
    pub(crate) fn serves(&self) -> bool {
        self.is_surely_before(Timestamp::MAX)
    }

    /// Whether that moment is surely still to come. If this says no, only the server can tell.
    pub(crate) fn is_surely_before(&self, moment: Timestamp) -> bool {
        self.was_surely_before(moment, Moment::now())
    }

    /// How much is surely left until that moment; nothing, if there is no reading to go by.
    pub(crate) fn left_until(&self, moment: Timestamp) -> Duration {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = reading.and_then(|(time, asked)| {
            let since = Moment::now().since(asked).filter(|since| *since < Self::SERVES)?;
            Some(moment.since(time.plus(since)))
        });
        left.unwrap_or_default()
    }

    fn was_surely_before(&self, moment: Timestamp, now: Moment) -> bool {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.is_some_and(|(time, asked)| {
            now.since(asked)
                .is_some_and(|since| since < Self::SERVES && time.plus(since + Self::MARGIN) < moment)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Timestamp = Timestamp::from_secs(1_000);

    fn after(moment: Moment, steady: Duration, wall: Duration) -> Moment {
        Moment {
            steady: moment.steady + steady,
            wall: moment.wall + wall,
        }
    }

    #[test]
    fn only_what_lies_beyond_the_margin_is_sure() {
        let clock = ServerClock::default();
        assert!(!clock.is_surely_before(Timestamp::MAX), "without a reading nothing is");
        clock.set(READ, Moment::now());
        assert!(!clock.is_surely_before(READ.plus(Duration::from_secs(1))));
        assert!(clock.is_surely_before(READ.plus(Duration::from_mins(1))));
    }

    #[test]
    fn a_reply_that_was_long_under_way_makes_no_session_live_longer() {
        let (clock, asked) = (ServerClock::default(), Moment::now());
        let seconds = Duration::from_secs;
        clock.set(READ, asked);
        let came = after(asked, seconds(9), seconds(9));
        assert!(!clock.was_surely_before(READ.plus(seconds(10)), came));
        assert!(clock.was_surely_before(READ.plus(seconds(12)), came));
        let later = after(asked, seconds(11), seconds(11));
        assert!(!clock.was_surely_before(Timestamp::MAX, later), "it is too old");
    }

    #[test]
    fn after_a_sleep_of_the_machine_or_a_set_clock_the_server_is_asked() {
        let (clock, asked) = (ServerClock::default(), Moment::now());
        clock.set(READ, asked);
        let second = Duration::from_secs(1);
        let slept = after(asked, second, Duration::from_hours(1));
        assert!(!clock.was_surely_before(READ.plus(Duration::from_mins(30)), slept));
        let set_back = Moment {
            wall: asked.wall - Duration::from_hours(1),
            ..after(asked, second, second)
        };
        assert!(!clock.was_surely_before(READ.plus(Duration::from_mins(30)), set_back));
    }
}
