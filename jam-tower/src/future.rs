//! A response on its way.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use jam_http::{Closing, Exchange};
use pin_project_lite::pin_project;

use crate::error::answer;

type Finish = Pin<Box<dyn Future<Output = Closing> + Send>>;

pin_project! {
    /// The future of a [`SessionService`](crate::SessionService): the handler's, and then the writing of what it changed.
    pub struct ResponseFuture<F: Future> {
        #[pin]
        handler: Option<F>,
        exchange: Option<Exchange>,
        output: Option<F::Output>,
        // Boxed only where the session was looked at.
        finish: Option<Finish>,
    }
}

impl<F: Future> ResponseFuture<F> {
    pub(crate) fn new(exchange: Exchange, handler: F) -> Self {
        Self {
            handler: Some(handler),
            exchange: Some(exchange),
            output: None,
            finish: None,
        }
    }

    /// For a service that panicked before it gave a future.
    pub(crate) fn panicked(exchange: Exchange) -> Self {
        Self {
            handler: None,
            exchange: Some(exchange),
            output: None,
            finish: None,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(exchange) = this.exchange.take() {
            let polled = match this.handler.as_mut().as_pin_mut() {
                Some(handler) => catch_unwind(AssertUnwindSafe(|| handler.poll(context))),
                None => Err(Box::new(()) as Box<dyn std::any::Any + Send>),
            };
            let output = match polled {
                Ok(Poll::Pending) => {
                    *this.exchange = Some(exchange);
                    return Poll::Pending;
                }
                Ok(Poll::Ready(output)) => output,
                Err(_) => {
                    tracing::error!("a handler panicked; the response is a 500");
                    let mut response = Response::new(B::default());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    Ok(response)
                }
            };
            // What the handler held is let go of before the session is written.
            this.handler.set(None);
            let status = output.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, Response::status);
            *this.output = Some(output);
            if let Some(exchange) = exchange.finish_untouched() {
                *this.finish = Some(Box::pin(exchange.finish(status)));
            }
        }
        if let Some(finish) = this.finish.as_mut() {
            let closing = ready!(finish.as_mut().poll(context));
            *this.finish = None;
            if let Some(Ok(response)) = this.output.as_mut() {
                if let Some(error) = closing.error() {
                    *response = answer(error);
                }
                closing.apply(response.headers_mut());
            }
        }
        match this.output.take() {
            Some(output) => Poll::Ready(output),
            // Polled after it was ready, which a future may answer as it likes.
            None => Poll::Pending,
        }
    }
}

impl<F: Future> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
