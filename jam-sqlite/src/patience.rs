//! How long calls wait while others keep the database locked: since each was queued, whoever's turn it was meanwhile, and
//! without the time that the store itself took for the calls before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the writer has waited for locks, in all: microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockWaits(Arc<AtomicU64>);

/// When a call was queued, and what had been waited until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    at: Instant,
    waits: u64,
}

impl LockWaits {
    /// The stamp of a call that is queued now.
    pub(crate) fn queued(&self) -> Queued {
        Queued {
            at: Instant::now(),
            waits: self.0.load(Ordering::Relaxed),
        }
    }

    /// Counts what a try took that found the database locked.
    fn add(&self, try_took: Duration) {
        let micros = u64::try_from(try_took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// How long this call has waited for locks; zero until a try has failed since it was queued.
    pub(crate) fn of(&self, queued: Queued) -> Duration {
        let waited = Duration::from_micros(self.0.load(Ordering::Relaxed).saturating_sub(queued.waits));
        // A try may have begun before the call was queued.
        waited.min(queued.at.elapsed())
    }
}

/// What a call, or the oldest of many, may still wait for locks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) waits: &'a LockWaits,
    pub(crate) queued: Queued,
    pub(crate) most: Duration,
}

impl Patience<'_> {
    /// Whether it is worth another try after one that began then and found the database locked. Sets when the next begins.
    pub(crate) async fn outlasts(self, began: &mut Instant) -> bool {
        if !self.most.is_zero() {
            breathe(*began).await;
        }
        let now = Instant::now();
        self.waits.add(now.duration_since(*began));
        *began = now;
        self.waits.of(self.queued) < self.most
    }
}

/// A pause after a try that began then and found the database locked, if it has come back at once: a connection of the
/// application's may be set to wait for nothing, and for what is locked in a shared cache none waits.
pub(crate) async fn breathe(began: Instant) {
    const PAUSE: Duration = Duration::from_millis(2);
    if began.elapsed() < PAUSE {
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_waited_for_locks_no_longer_than_it_is_queued_and_not_while_none_was_held() {
        let waits = LockWaits::default();
        let early = waits.queued();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(waits.of(early), Duration::ZERO, "nobody held a lock");
        waits.add(Duration::from_millis(1));
        assert_eq!(waits.of(early), Duration::from_millis(1));
        let late = waits.queued();
        assert_eq!(waits.of(late), Duration::ZERO, "that was before");
        waits.add(Duration::from_hours(1));
        assert!(waits.of(late) < Duration::from_hours(1), "most of it was before");
    }
}
