//! For how long a connection that tells what changed is to be trusted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Moment;
use crate::Timestamp;

/// Says whether what was read over one connection may be given out from a [`NearCache`](super::NearCache).
///
/// The connection brings the server's messages about what changed, in the order in which things happened. So a reply to a
/// question proves that every message about what was changed before the question was sent has arrived. The lease holds while
/// the last such question was sent less than the bound ago: whatever becomes of the connection, nothing is given out that
/// has been changed for longer than that.
#[derive(Debug)]
pub struct Lease {
    bound: Duration,
    begun: Instant,
    /// When the last question that was answered was sent: nanoseconds since `begun`, and milliseconds by the clock of the wall.
    steady: AtomicU64,
    wall: AtomicU64,
    ended: AtomicBool,
}

impl Lease {
    /// A lease of a connection on which a question was answered that was sent then.
    pub fn new(bound: Duration, sent: Moment) -> Self {
        Self {
            bound,
            begun: sent.steady,
            steady: AtomicU64::new(0),
            wall: AtomicU64::new(sent.wall.as_millis()),
            ended: AtomicBool::new(false),
        }
    }

    /// Notes that a question was answered which was sent then. To be called once every message has been heeded that came
    /// before the answer.
    pub fn confirm(&self, sent: Moment) {
        let since = sent.steady.saturating_duration_since(self.begun);
        let steady = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        if self.steady.fetch_max(steady, Ordering::AcqRel) < steady {
            self.wall.store(sent.wall.as_millis(), Ordering::Release);
        }
    }

    /// How long ago the last question that was answered was sent.
    pub fn age(&self, now: Moment) -> Duration {
        let steady = Duration::from_nanos(self.steady.load(Ordering::Acquire));
        let confirmed = Moment {
            steady: self.begun + steady,
            wall: Timestamp::from_millis(self.wall.load(Ordering::Acquire)),
        };
        now.since(confirmed)
    }

    /// Whether the connection is to be trusted now.
    pub fn holds(&self, now: Moment) -> bool {
        !self.has_ended() && self.age(now) < self.bound
    }

    /// Says that the connection is no more. It does not come back.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the connection is no more.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
