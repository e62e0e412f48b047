//! Telling when a store goes away and when it is back: once each, and not with every operation that fails meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Inner;
use super::outcome::Outcome;
use crate::{Error, ErrorKind};

/// What the last operations told about the store. Reads and writes apart: on a full disk, or a server that refuses writes, the
/// reads that succeed in between say nothing about the writes.
#[derive(Debug, Default)]
pub(super) struct Outage {
    of_reads: AtomicBool,
    of_writes: AtomicBool,
    closed: AtomicBool,
}

/// Operations that ask a store for nothing but reads.
const READS: [&str; 4] = ["get", "exists", "list", "was_superseded"];
/// Succeeds without the store where a server sweeps by itself, so it tells of neither the beginning nor the end.
const TELLS_NOTHING: &str = "remove_expired";

impl Inner {
    /// Takes an operation that is over into account.
    pub(super) fn watch_store(&self, operation: &'static str, outcome: Outcome, error: Option<&Error>) {
        let outage = &self.outage;
        let (mine, other) = if READS.contains(&operation) {
            (&outage.of_reads, &outage.of_writes)
        } else {
            (&outage.of_writes, &outage.of_reads)
        };
        if operation == TELLS_NOTHING || outage.closed.load(Ordering::Relaxed) {
            // Or closed, by the application itself: what fails from here on is no outage.
        } else if operation == "close" {
            outage.closed.store(true, Ordering::Relaxed);
        } else if outcome == Outcome::Failed(ErrorKind::Unavailable) {
            if !mine.load(Ordering::Relaxed) && !mine.swap(true, Ordering::Relaxed) && !other.load(Ordering::Relaxed) {
                tracing::warn!(
                    backend = self.store.name(),
                    operation,
                    error = error.map(|error| error as &dyn std::error::Error),
                    "the session store does not do its work"
                );
                #[cfg(feature = "metrics")]
                self.meters.count_outage();
            }
        } else if outcome == Outcome::Ok
            && mine.load(Ordering::Relaxed)
            && mine.swap(false, Ordering::Relaxed)
            && !other.load(Ordering::Relaxed)
        {
            tracing::info!(
                backend = self.store.name(),
                operation,
                "the session store does its work again"
            );
        }
    }
}
