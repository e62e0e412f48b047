//! Telling when a store goes away and when it is back: once each, and not with every operation that fails meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::Inner;
use super::facts::Facts;
use super::outcome::Outcome;
use crate::{Error, ErrorKind};

/// What the last operations told about the store. Reads and writes apart: on a full disk, or a server that refuses writes, the
/// reads that succeed in between say nothing about the writes.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// In one place, so that of a read and a write that fail at once one sees that it is the first.
    failing: AtomicU8,
    closed: AtomicBool,
}

const READING: u8 = 1;
const WRITING: u8 = 2;

impl Outage {
    /// Whether an outage begins with this failure.
    fn begins(&self, what: u8) -> bool {
        self.failing.load(Ordering::Relaxed) & what == 0 && self.failing.fetch_or(what, Ordering::Relaxed) == 0
    }

    /// Whether the outage ends with this success.
    fn ends(&self, what: u8) -> bool {
        self.failing.load(Ordering::Relaxed) & what != 0 && self.failing.fetch_and(!what, Ordering::Relaxed) == what
    }
}

/// Operations that ask a store for nothing but reads.
const READS: [&str; 4] = ["get", "exists", "list", "was_superseded"];
/// Succeeds without the store where a server sweeps by itself, so it tells of neither the beginning nor the end.
const TELLS_NOTHING: &str = "remove_expired";

impl Inner {
    /// Takes an operation that is over into account.
    pub(super) fn watch_store(&self, operation: &'static str, outcome: Outcome, facts: &Facts, error: Option<&Error>) {
        let outage = &self.outage;
        let what = if READS.contains(&operation) { READING } else { WRITING };
        if operation == TELLS_NOTHING || outage.closed.load(Ordering::Relaxed) {
            // Or closed, by the application itself: what fails from here on is no outage.
        } else if operation == "close" {
            outage.closed.store(true, Ordering::Relaxed);
        } else if outcome == Outcome::Failed(ErrorKind::Unavailable) {
            if outage.begins(what) {
                tracing::warn!(
                    backend = self.store.name(),
                    operation,
                    error = error.map(|error| error as &dyn std::error::Error),
                    "the session store does not do its work"
                );
                #[cfg(feature = "metrics")]
                self.meters.count_outage();
            }
        } else if outcome == Outcome::Ok && !facts.wrote_nothing && outage.ends(what) {
            tracing::info!(
                backend = self.store.name(),
                operation,
                "the session store does its work again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_read_and_a_write_that_fail_at_once_begin_one_outage_and_end_one() {
        let (outage, barrier) = (Outage::default(), Barrier::new(2));
        let both = |tells: fn(&Outage, u8) -> bool| {
            std::thread::scope(|scope| {
                let at_once = |what| {
                    let (outage, barrier) = (&outage, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        u32::from(tells(outage, what))
                    })
                };
                [READING, WRITING]
                    .map(at_once)
                    .map(|told| told.join().unwrap_or(9))
                    .iter()
                    .sum::<u32>()
            })
        };
        for _ in 0..2_000 {
            assert_eq!(both(Outage::begins), 1);
            assert_eq!(both(Outage::ends), 1);
        }
    }
}
