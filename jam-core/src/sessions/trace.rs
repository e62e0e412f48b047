//! One span per operation: which backend, which operation, how it went. Never an id, never data.

use std::future::Future;

use tracing::Instrument;
use tracing::field::Empty;

use super::Sessions;
use crate::Result;

impl Sessions {
    /// Runs an operation in a span `jam` (level DEBUG) with the fields `operation`, `backend` and `outcome` (`ok`, or
    /// the kind of the error), and puts operation and backend into its errors.
    pub(super) async fn run<T>(&self, operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.observe(operation, work, |_| true).await
    }

    /// The same for operations that may find nothing; their outcome is then `missing`.
    pub(super) async fn run_found<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<Option<T>>>,
    ) -> Result<Option<T>> {
        self.observe(operation, work, Option::is_some).await
    }

    /// The same for operations that say whether there was something.
    pub(super) async fn run_told(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<bool>>,
    ) -> Result<bool> {
        self.observe(operation, work, |found| *found).await
    }

    async fn observe<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
        found: impl Fn(&T) -> bool,
    ) -> Result<T> {
        let backend = self.inner.store.name();
        let span = tracing::debug_span!("jam", operation, backend, outcome = Empty);
        let result = if span.is_disabled() {
            work.await
        } else {
            work.instrument(span.clone()).await
        };
        match &result {
            Ok(value) => span.record("outcome", if found(value) { "ok" } else { "missing" }),
            Err(error) => span.record("outcome", tracing::field::display(error.kind())),
        };
        result.map_err(|error| error.with("operation", operation).with("backend", backend))
    }
}
