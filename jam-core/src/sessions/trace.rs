//! One span per operation, and its metrics: which backend, which operation, how it went. Never an id, never data.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tracing::Span;
use tracing::field::Empty;

use super::facts::{Facts, Noting};
use super::outcome::Outcome;
use super::{Inner, Sessions};
use crate::Result;

impl Sessions {
    /// Runs an operation in a span `jam` (level DEBUG), counts it, and puts operation and backend into its errors.
    pub(super) fn run<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.observe(operation, work, |_: &T| true)
    }

    /// The same for operations that may find nothing; their outcome is then `missing`.
    pub(super) fn run_found<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<Option<T>>>,
    ) -> impl Future<Output = Result<Option<T>>> {
        self.observe(operation, work, Option::is_some)
    }

    /// The same for operations that say whether there was something.
    pub(super) fn run_told(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<bool>>,
    ) -> impl Future<Output = Result<bool>> {
        self.observe(operation, work, |found: &bool| *found)
    }

    fn observe<F, T, P>(&self, operation: &'static str, work: F, found: P) -> Observed<'_, F, P>
    where
        F: Future<Output = Result<T>>,
        P: Fn(&T) -> bool,
    {
        Observed {
            work,
            found,
            seen: None,
            operation,
            inner: &self.inner,
        }
    }
}

/// What is seen of an operation that has begun.
struct Seen {
    span: Span,
    facts: Facts,
    #[cfg(feature = "metrics")]
    began: std::time::Instant,
}

impl Seen {
    fn begin(operation: &'static str, inner: &Inner) -> Self {
        Self {
            span: tracing::debug_span!(
                "jam",
                operation,
                backend = inner.store.name(),
                outcome = Empty,
                retries = Empty,
                grace = Empty,
                evicted = Empty,
                expired = Empty
            ),
            facts: Facts::default(),
            #[cfg(feature = "metrics")]
            began: std::time::Instant::now(),
        }
    }

    fn end(self, operation: &'static str, inner: &Inner, outcome: Outcome) {
        let Facts {
            retries,
            grace,
            evicted,
            expired,
            wrote_nothing: _,
        } = self.facts;
        self.span.record("outcome", outcome.name());
        for (field, number) in [("retries", retries), ("evicted", evicted), ("expired", expired)] {
            if number > 0 {
                self.span.record(field, number);
            }
        }
        if grace {
            self.span.record("grace", true);
        }
        #[cfg(feature = "metrics")]
        inner
            .meters
            .count(operation, outcome, self.began.elapsed(), &self.facts);
        #[cfg(not(feature = "metrics"))]
        let _ = (operation, inner);
    }
}

pin_project! {
    /// An operation in its span. Written out, for an async function would move the operation from one place to the next.
    struct Observed<'a, F, P> {
        #[pin]
        work: F,
        found: P,
        // None before the first poll: a future that nobody polls has no span. None again when it is over.
        seen: Option<Seen>,
        operation: &'static str,
        inner: &'a Inner,
    }

    impl<F, P> PinnedDrop for Observed<'_, F, P> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(seen) = this.seen.take() {
                seen.end(this.operation, this.inner, Outcome::Cancelled);
            }
        }
    }
}

impl<T, F, P> Future for Observed<'_, F, P>
where
    F: Future<Output = Result<T>>,
    P: Fn(&T) -> bool,
{
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (operation, inner) = (*this.operation, *this.inner);
        let seen = this.seen.get_or_insert_with(|| Seen::begin(operation, inner));
        let result = {
            let _entered = seen.span.enter();
            let _noting = Noting::into(&mut seen.facts);
            ready!(this.work.poll(context))
        };
        let outcome = match &result {
            Ok(value) if (this.found)(value) => Outcome::Ok,
            Ok(_) => Outcome::Missing,
            Err(error) => Outcome::Failed(error.kind()),
        };
        if let Some(seen) = this.seen.take() {
            inner.watch_store(operation, outcome, &seen.facts, result.as_ref().err());
            seen.end(operation, inner, outcome);
        }
        let backend = inner.store.name();
        Poll::Ready(result.map_err(|error| error.with("operation", operation).with("backend", backend)))
    }
}
