//! One span per operation: which backend, which operation, how it went. Never an id, never data.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tracing::Span;
use tracing::field::Empty;

use super::Sessions;
use crate::Result;

impl Sessions {
    /// Runs an operation in a span `jam` (level DEBUG) with the fields `operation`, `backend` and `outcome` (`ok`, or
    /// the kind of the error), and puts operation and backend into its errors.
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

    fn observe<F, T, P>(&self, operation: &'static str, work: F, found: P) -> Observed<F, P>
    where
        F: Future<Output = Result<T>>,
        P: Fn(&T) -> bool,
    {
        let backend = self.inner.store.name();
        Observed {
            work,
            found,
            span: None,
            operation,
            backend,
        }
    }
}

pin_project! {
    /// An operation in its span. Written out, for an async function would move the operation from one place to the next.
    struct Observed<F, P> {
        #[pin]
        work: F,
        found: P,
        // None before the first poll: a future that nobody polls has no span.
        span: Option<Span>,
        operation: &'static str,
        backend: &'static str,
    }
}

impl<T, F, P> Future for Observed<F, P>
where
    F: Future<Output = Result<T>>,
    P: Fn(&T) -> bool,
{
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (operation, backend) = (*this.operation, *this.backend);
        let span = this
            .span
            .get_or_insert_with(|| tracing::debug_span!("jam", operation, backend, outcome = Empty));
        let result = {
            let _entered = span.enter();
            ready!(this.work.poll(context))
        };
        match &result {
            Ok(value) => span.record("outcome", if (this.found)(value) { "ok" } else { "missing" }),
            Err(error) => span.record("outcome", tracing::field::display(error.kind())),
        };
        Poll::Ready(result.map_err(|error| error.with("operation", operation).with("backend", backend)))
    }
}
