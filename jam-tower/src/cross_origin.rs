//! Refusing what other sites make a browser send.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use jam_http::{CrossOriginProtection, CrossOriginRefused};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Answers a request that [`CrossOriginProtection`] refuses with an empty 403; the service inside never sees it. The
/// response has a [`CrossOriginRefused`] among its extensions.
///
/// Put it around the routes that browsers with a session use; its order to the [`SessionLayer`](crate::SessionLayer)
/// does not matter. A CORS layer belongs outside of it.
///
/// ```
/// use jam_tower::{CrossOriginLayer, CrossOriginProtection};
///
/// let layer = CrossOriginLayer::new();
/// let layer = CrossOriginLayer::with(CrossOriginProtection::new().trusting(["https://login.example.com"])?);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrossOriginLayer {
    protection: CrossOriginProtection,
}

impl CrossOriginLayer {
    /// Trusts no other origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts other origins too.
    pub fn with(protection: CrossOriginProtection) -> Self {
        Self { protection }
    }
}

impl<S> Layer<S> for CrossOriginLayer {
    type Service = CrossOriginService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CrossOriginService {
            inner,
            protection: self.protection.clone(),
        }
    }
}

/// A service that other origins cannot post to; made by [`CrossOriginLayer`].
#[derive(Clone, Debug)]
pub struct CrossOriginService<S> {
    inner: S,
    protection: CrossOriginProtection,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for CrossOriginService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CrossOriginFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let protection = &self.protection;
        let refused = protection
            .check(request.method(), request.uri(), request.headers())
            .err();
        CrossOriginFuture {
            passed: refused.is_none().then(|| self.inner.call(request)),
            refused,
        }
    }
}

pin_project! {
    /// The future of a [`CrossOriginService`].
    pub struct CrossOriginFuture<F> {
        #[pin]
        passed: Option<F>,
        refused: Option<CrossOriginRefused>,
    }
}

impl<F, B, E> Future for CrossOriginFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(inner) = this.passed.as_pin_mut() {
            return inner.poll(context);
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::FORBIDDEN;
        if let Some(why) = this.refused.take() {
            response.extensions_mut().insert(why);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for CrossOriginFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossOriginFuture").finish_non_exhaustive()
    }
}
