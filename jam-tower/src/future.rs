//! A response on its way.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use jam_http::{Closing, Exchange, Sent};
use pin_project_lite::pin_project;

use crate::{Answer, Error};

type Finish = Pin<Box<dyn Future<Output = Closing> + Send>>;

pin_project! {
    /// The future of a [`SessionService`](crate::SessionService): the handler's, and then the writing of what it changed.
    pub struct ResponseFuture<F: Future, A> {
        // None where the service panicked before it gave a future, and once the handler is through.
        #[pin]
        handler: Option<F>,
        // None once the handler is through, and where another layer further out has it.
        exchange: Option<Exchange>,
        passed_on: bool,
        // Whether another layer further out may put another response in place of this one.
        inside: bool,
        output: Option<F::Output>,
        // Boxed, which only requests that write to their session pay for.
        finish: Option<Finish>,
        answer: A,
    }
}

impl<F: Future, A> ResponseFuture<F, A> {
    pub(crate) fn new(exchange: Exchange, handler: Option<F>, inside: bool, answer: A) -> Self {
        Self {
            handler,
            exchange: Some(exchange),
            passed_on: false,
            inside,
            output: None,
            finish: None,
            answer,
        }
    }

    /// Of a request that a layer further out looks after.
    pub(crate) fn passed_on(handler: F, answer: A) -> Self {
        Self {
            handler: Some(handler),
            exchange: None,
            passed_on: true,
            inside: true,
            output: None,
            finish: None,
            answer,
        }
    }
}

impl<F, A, B, E> Future for ResponseFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    A: Answer<B>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if *this.passed_on {
            return this
                .handler
                .as_pin_mut()
                .map_or(Poll::Pending, |handler| handler.poll(context));
        }
        let mut at_once = None;
        if this.exchange.is_some() {
            let polled = match this.handler.as_mut().as_pin_mut() {
                Some(handler) => catch_unwind(AssertUnwindSafe(|| handler.poll(context))).ok(),
                None => None,
            };
            let output = match polled {
                Some(polled) => ready!(polled),
                None => Ok(after_a_panic()),
            };
            // What the handler held is let go of before the session is written.
            this.handler.set(None);
            let status = output
                .as_ref()
                .map_or(StatusCode::INTERNAL_SERVER_ERROR, Response::status);
            let exchange = this.exchange.take().map(|exchange| told(exchange, &output));
            *this.output = Some(output);
            match exchange.map(|exchange| exchange.finish_at_once(status)) {
                Some(Ok(closing)) => at_once = closing,
                Some(Err(exchange)) => *this.finish = Some(Box::pin(exchange.finish(status))),
                None => {}
            }
        }
        let closing = match this.finish.as_mut() {
            Some(finish) => Some(ready!(finish.as_mut().poll(context))),
            None => at_once,
        };
        *this.finish = None;
        if let Some(Ok(response)) = this.output.as_mut() {
            let of_handler = response.extensions_mut().remove::<Error>();
            let of_handler = of_handler.filter(|_| this.answer.replaces());
            let mut sent = response.extensions_mut().remove::<Sent>().unwrap_or_default();
            let of_closing = closing.as_ref().and_then(Closing::error);
            if let Some(error) = of_closing.or(of_handler.as_deref()) {
                *response = this.answer.answer(error);
                if !response.headers().contains_key(RETRY_AFTER) {
                    error.apply(response.headers_mut());
                }
                sent.apply(response.headers_mut());
            }
            if let Some(closing) = closing {
                closing.apply(response.headers_mut());
                sent.add(&closing);
            }
            if *this.inside {
                response.extensions_mut().insert(sent);
            }
        }
        // Polled again after it was ready, a future may answer as it likes.
        this.output.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Tells the exchange what the service gave.
fn told<B, E>(exchange: Exchange, output: &Result<Response<B>, E>) -> Exchange {
    match output {
        Ok(response) => exchange.with_response_headers(|name| {
            let values = response.headers().get_all(name);
            values.iter().map(HeaderValue::as_bytes)
        }),
        Err(_) => exchange.without_response(),
    }
}

fn after_a_panic<B: Default>() -> Response<B> {
    tracing::error!("a handler panicked; the response is a 500");
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl<F: Future, A> fmt::Debug for ResponseFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
