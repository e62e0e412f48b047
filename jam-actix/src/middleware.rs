//! The session middleware.

use std::fmt;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{HttpMessage, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, OptionFuture};
use jam_core::Sessions;
use jam_http::{Closing, Exchange, Sent, SessionConfig};

use crate::error::plain;
use crate::{Error, Session, bridge};

type Answer = Arc<dyn Fn(&jam_http::Error) -> HttpResponse + Send + Sync>;

/// Gives every request a [`Session`], and every response what belongs to it.
///
/// Make one before the server starts and clone it into each worker's `App`; all of them share the manager. Some answers
/// are the middleware's own:
///
/// - A 503 with `Retry-After` where the handler answered and its changes could not be written. Whatever else the handler
///   did is done: let a handler that charges a card write to its session first, with
///   [`modify`](jam_http::Session::modify).
/// - A 500 where the handler panicked. The panic is caught, so that the cookie of a login goes out all the same.
///
/// A second one inside, with no other session middleware between, whose ids travel in the same place (a cookie of the
/// same name) leaves the request to the first one, whatever its other choices. With another cookie name it is a session
/// of its own, and its handlers get that one; a middleware between the two gets that of the outer one, before and
/// after. What the inner one told the client goes out also where the outer one puts an answer of its own in place of
/// the response.
///
/// Both happen inside `wrap`, which runs what was wrapped last first: compress, log and refuse cross-origin requests
/// further out.
#[derive(Clone)]
pub struct SessionMiddleware {
    config: SessionConfig,
    answer: Answer,
    /// Whether the answer also goes in place of the response that a handler's error became on its way out.
    replaces: bool,
}

impl SessionMiddleware {
    /// With the default choices: the cookie `__Host-session`, over https.
    pub fn new(sessions: Sessions) -> Self {
        Self::with(SessionConfig::new(sessions))
    }

    /// With choices of your own.
    pub fn with(config: SessionConfig) -> Self {
        Self {
            config,
            answer: Arc::new(plain),
            replaces: false,
        }
    }

    /// Answers errors in a way of your own: those that handlers and extractors pass on as [`Error`], and those of
    /// writing the changes afterwards. The error tells what happened and which [status](jam_http::Error::status) is its
    /// own. A `Retry-After` is added where the error has one and the answer has none. Your answer takes the place of
    /// the whole response. Only what a session middleware further in told the client goes over, and an error that such
    /// a middleware has passed is its own to answer.
    ///
    /// The error's own text is for the log: it may show a client what is inside, such as the path of a file that is
    /// damaged.
    ///
    /// ```
    /// use actix_web::HttpResponse;
    /// use actix_web::http::StatusCode;
    /// # use jam_core::{MemoryStore, Sessions};
    /// use jam_actix::SessionMiddleware;
    ///
    /// # let sessions = Sessions::new(MemoryStore::new());
    /// let middleware = SessionMiddleware::new(sessions).on_error(|error| {
    ///     let status = StatusCode::from_u16(error.status().as_u16()).unwrap_or_default();
    ///     let reason = status.canonical_reason().unwrap_or_default();
    ///     HttpResponse::build(status).body(format!("Sorry: {reason}."))
    /// });
    /// ```
    #[must_use]
    pub fn on_error(mut self, answer: impl Fn(&jam_http::Error) -> HttpResponse + Send + Sync + 'static) -> Self {
        self.answer = Arc::new(move |error| {
            let mut response = answer(error);
            // The answer's own stays.
            let mut headers = bridge::some_of(response.headers(), &[http::header::RETRY_AFTER]);
            error.apply(&mut headers);
            bridge::write_back(&headers, response.headers_mut());
            response
        });
        self.replaces = true;
        self
    }
}

impl fmt::Debug for SessionMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMiddleware")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService {
            inner,
            middleware: self.clone(),
        }))
    }
}

/// A service with sessions; made by [`SessionMiddleware`].
#[derive(Debug)]
pub struct SessionService<S> {
    inner: S,
    middleware: SessionMiddleware,
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let config = &self.middleware.config;
        let outer = request.extensions().get::<Session>().cloned();
        if outer
            .as_ref()
            .is_some_and(|session| session.config().shares_place_with(config))
        {
            let passed_on = self.inner.call(request);
            return async { Ok(passed_on.await?.map_into_left_body()) }.boxed_local();
        }
        let exchange = Exchange::begin_with(config, |name| {
            let values = request.headers().get_all(name.as_str());
            values.map(HeaderValue::as_bytes)
        });
        let exchange = exchange.with_method(&bridge::method(request.method()));
        request.extensions_mut().insert(Session(exchange.session()));
        let handler = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        let (answer, replaces) = (Arc::clone(&self.middleware.answer), self.middleware.replaces);
        async move {
            // What the handler held is let go of before the session is written.
            let output = OptionFuture::from(handler.map(|handler| AssertUnwindSafe(handler).catch_unwind())).await;
            let output = match output {
                Some(Ok(output)) => output,
                Some(Err(_)) | None => Err(after_a_panic()),
            };
            // What an error says of its status need not be that of its response, which it may give only once.
            let looked_at = exchange.looked_at();
            let output = output.map_err(|error| (looked_at.then(|| error.error_response()), error));
            let (status, headers) = match &output {
                Ok(response) => (response.status(), Some(response.headers())),
                Err((Some(response), _)) => (response.status(), Some(response.headers())),
                Err((None, error)) => (error.as_response_error().status_code(), None),
            };
            let status = bridge::status_of(status);
            let exchange = exchange.with_response_headers(|name| {
                let values = headers.map(|headers| headers.get_all(name.as_str()));
                values.into_iter().flatten().map(HeaderValue::as_bytes)
            });
            let closing = match exchange.finish_at_once(status) {
                Ok(closing) => closing,
                Err(exchange) => Some(exchange.finish(status).await),
            };
            let inside = outer.is_some();
            if let (Ok(response), Some(outer)) = (&output, outer) {
                // Who is further out goes on with the session that was theirs.
                response.request().extensions_mut().insert(outer);
            }
            match output {
                Ok(response) => Ok(complete(response, closing, &answer, replaces, inside)),
                Err((response, error)) => Err(complete_error(error, response, closing, &answer, inside)),
            }
        }
        .boxed_local()
    }
}

/// The response with what belongs to it, or the one an error is.
fn complete<B: MessageBody>(
    mut response: ServiceResponse<B>,
    closing: Option<Closing>,
    answer: &Answer,
    replaces: bool,
    inside: bool,
) -> ServiceResponse<EitherBody<B>> {
    let sent = response.response_mut().extensions_mut().remove::<Sent>();
    // One that was sent something is the answer of a session middleware further in, which has judged its error.
    let of_handler = response.response().error().filter(|_| sent.is_none());
    let of_handler = of_handler.and_then(|error| answer_to(error, answer));
    let of_handler = of_handler.filter(|_| replaces);
    let of_closing = closing.as_ref().and_then(Closing::error).map(|error| answer(error));
    let sent = sent.unwrap_or_default();
    let mut response = match of_closing.or(of_handler) {
        Some(mut answer) => {
            apply(|headers| sent.apply(headers), answer.headers_mut());
            ServiceResponse::new(response.into_parts().0, answer.map_into_right_body())
        }
        None => response.map_into_left_body(),
    };
    finish(response.response_mut(), sent, closing, inside);
    response
}

/// The same for an error of a service further in, which becomes a response only further out, or has become one already.
fn complete_error(
    error: actix_web::Error,
    response: Option<HttpResponse>,
    closing: Option<Closing>,
    answer: &Answer,
    inside: bool,
) -> actix_web::Error {
    let of_handler = answer_to(&error, answer);
    if of_handler.is_none() && closing.is_none() {
        return error;
    }
    let of_closing = closing.as_ref().and_then(Closing::error).map(|error| answer(error));
    let mut response = response.unwrap_or_else(|| error.error_response());
    let sent = response.extensions_mut().remove::<Sent>().unwrap_or_default();
    if let Some(answer) = of_closing.or(of_handler) {
        response = answer;
        apply(|headers| sent.apply(headers), response.headers_mut());
    }
    finish(&mut response, sent, closing, inside);
    InternalError::from_response(error, response).into()
}

/// Adds what this exchange says, and leaves what was said to the middleware further out, if there is one.
fn finish<B>(response: &mut HttpResponse<B>, mut sent: Sent, closing: Option<Closing>, inside: bool) {
    if let Some(closing) = closing {
        apply(|headers| closing.apply(headers), response.headers_mut());
        sent.add(&closing);
    }
    if inside {
        response.extensions_mut().insert(sent);
    }
}

fn answer_to(error: &actix_web::Error, answer: &Answer) -> Option<HttpResponse> {
    let error = error.as_error::<Error>()?;
    if error.status().is_server_error() {
        let error: &(dyn std::error::Error + 'static) = &**error;
        tracing::error!(error, "a handler failed on its session");
    }
    Some(answer(error))
}

fn apply(complete: impl FnOnce(&mut http::HeaderMap), headers: &mut HeaderMap) {
    let mut completed = bridge::some_of(headers, &Closing::HEADERS);
    complete(&mut completed);
    bridge::write_back(&completed, headers);
}

fn after_a_panic() -> actix_web::Error {
    tracing::error!("a handler panicked; the response is a 500");
    let response = HttpResponse::InternalServerError().finish();
    InternalError::from_response("a handler panicked", response).into()
}
