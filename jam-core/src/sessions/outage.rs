//! Telling when a store goes away and when it is back: once each, and not with every operation that fails meanwhile.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Inner;
use super::outcome::Outcome;
use crate::{Error, ErrorKind};

const UP: u8 = 0;
const DOWN: u8 = 1;
const CLOSED: u8 = 2;

/// What the last operations told about the store.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicU8);

impl Inner {
    /// Takes an operation that is over into account.
    pub(super) fn watch_store(&self, operation: &'static str, outcome: Outcome, error: Option<&Error>) {
        let state = &self.outage.0;
        let now = state.load(Ordering::Relaxed);
        if now == CLOSED {
            // By the application itself: what fails from here on is no outage.
        } else if operation == "close" {
            state.store(CLOSED, Ordering::Relaxed);
        } else if outcome == Outcome::Failed(ErrorKind::Unavailable) {
            if now == UP
                && state
                    .compare_exchange(UP, DOWN, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            {
                tracing::warn!(
                    backend = self.store.name(),
                    operation,
                    error = error.map(|error| error as &dyn std::error::Error),
                    "the session store does not do its work"
                );
                #[cfg(feature = "metrics")]
                self.meters.count_outage();
            }
        // To commit a session that was not changed asks no store.
        } else if outcome == Outcome::Ok
            && now == DOWN
            && operation != "commit"
            && state
                .compare_exchange(DOWN, UP, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::info!(
                backend = self.store.name(),
                operation,
                "the session store does its work again"
            );
        }
    }
}
