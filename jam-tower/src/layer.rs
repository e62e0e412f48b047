//! The layer and its service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use http::{Request, Response};
use jam_core::Sessions;
use jam_http::{Exchange, SessionConfig};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Answer, Plain, ResponseFuture, Session};

/// Gives every request a [`Session`](crate::Session), and every response what belongs to it.
///
/// It works around any service of HTTP requests, whatever their bodies; the response body needs a default (an empty one)
/// for the answers the layer gives itself:
///
/// - A 503 with `Retry-After` where the handler answered and its changes could not be written. Whatever else the handler did is
///   done: let a handler that charges a card write to its session first, with
///   [`modify`](jam_http::Session::modify).
/// - A 500 where the handler panicked. The panic is caught, so that the cookie of a login goes out all the same.
///
/// A second layer inside, with no other session layer between, whose ids travel in the same place (a cookie of the same
/// name) leaves the request to the first one, whatever its other choices. With another cookie name it is a session of
/// its own, and its handlers get that one. What that one told the client goes out also where the layer around it puts
/// an answer of its own in place of the response.
#[derive(Clone, Debug)]
pub struct SessionLayer<A = Plain> {
    config: SessionConfig,
    answer: A,
}

impl SessionLayer {
    /// A layer with the default choices: the cookie `__Host-session`, over https.
    pub fn new(sessions: Sessions) -> Self {
        Self::with(SessionConfig::new(sessions))
    }

    /// A layer with choices of your own.
    pub fn with(config: SessionConfig) -> Self {
        Self { config, answer: Plain }
    }
}

impl<A> SessionLayer<A> {
    /// Answers errors in a way of your own: those that handlers and extractors pass on as [`Error`](crate::Error), and those of writing the
    /// changes afterwards. The error tells what happened and which [status](jam_http::Error::status) is its own. Your answer takes
    /// the place of the whole response, headers that layers further in had added included. Only what a session layer
    /// further in told the client goes over, and an error that such a layer has passed is its own to answer.
    ///
    /// The error's own text is for the log: it may show a client what is inside, such as the path of a file that is
    /// damaged.
    ///
    /// ```
    /// use http::Response;
    /// # use jam_core::{MemoryStore, Sessions};
    /// use jam_tower::SessionLayer;
    ///
    /// # let sessions = Sessions::new(MemoryStore::new());
    /// let layer = SessionLayer::new(sessions).on_error(|error: &jam_http::Error| {
    ///     let reason = error.status().canonical_reason().unwrap_or_default();
    ///     let mut response = Response::new(format!("Sorry: {reason}."));
    ///     *response.status_mut() = error.status();
    ///     error.apply(response.headers_mut()); // Retry-After
    ///     response
    /// });
    /// ```
    pub fn on_error<F>(self, answer: F) -> SessionLayer<F> {
        SessionLayer {
            config: self.config,
            answer,
        }
    }
}

impl<S, A: Clone> Layer<S> for SessionLayer<A> {
    type Service = SessionService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            config: self.config.clone(),
            answer: self.answer.clone(),
        }
    }
}

/// A service with sessions; made by [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S, A = Plain> {
    inner: S,
    config: SessionConfig,
    answer: A,
}

impl<S, A, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S, A>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    A: Answer<ResponseBody> + Clone,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let outer = request.extensions().get::<Session>();
        let inside = outer.is_some();
        if outer.is_some_and(|session| session.config().shares_place_with(&self.config)) {
            return ResponseFuture::passed_on(self.inner.call(request), self.answer.clone());
        }
        let exchange = Exchange::begin(&self.config, request.headers()).with_method(request.method());
        request.extensions_mut().insert(Session(exchange.session()));
        let handler = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        ResponseFuture::new(exchange, handler.ok(), inside, self.answer.clone())
    }
}
