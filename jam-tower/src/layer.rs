//! The layer and its service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use http::{Request, Response};
use jam_core::Sessions;
use jam_http::{Exchange, SessionConfig};
use tower_layer::Layer;
use tower_service::Service;

use crate::{ResponseFuture, Session};

/// Gives every request a [`Session`](crate::Session), and every response what belongs to it.
///
/// It works around any service of HTTP requests, whatever their bodies; the response body needs a default (an empty one)
/// for the answers the layer gives itself:
///
/// - A 503 with `Retry-After` where the handler answered and its changes could not be written. Whatever else the handler did is
///   done: let a handler that charges a card write to its session first, with
///   [`modify`](jam_http::Session::modify).
/// - A 500 where the handler panicked. The panic is caught, so that the cookie of a login goes out all the same.
#[derive(Clone, Debug)]
pub struct SessionLayer {
    config: SessionConfig,
}

impl SessionLayer {
    /// A layer with the default choices: the cookie `__Host-session`, over https.
    pub fn new(sessions: Sessions) -> Self {
        Self::with(SessionConfig::new(sessions))
    }

    /// A layer with choices of your own.
    pub fn with(config: SessionConfig) -> Self {
        Self { config }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            config: self.config.clone(),
        }
    }
}

/// A service with sessions; made by [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    config: SessionConfig,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let exchange = Exchange::begin(&self.config, request.headers());
        request.extensions_mut().insert(Session(exchange.session()));
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(handler) => ResponseFuture::new(exchange, handler),
            Err(_) => ResponseFuture::panicked(exchange),
        }
    }
}
