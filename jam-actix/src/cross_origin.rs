//! Refusing what other sites make a browser send.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use futures_util::future::{Either, MapOk, TryFutureExt};
use jam_http::{CrossOriginProtection, CrossOriginRefused};

use crate::bridge;

/// Answers a request that [`CrossOriginProtection`] refuses with an empty 403; the services inside never see it. The
/// response has a [`CrossOriginRefused`] among its extensions.
///
/// Put it around the routes that browsers with a session use; its order to the
/// [`SessionMiddleware`](crate::SessionMiddleware) does not matter. A CORS middleware belongs outside of it.
///
/// ```
/// use actix_web::App;
/// use jam_actix::{CrossOriginMiddleware, CrossOriginProtection};
///
/// let protection = CrossOriginProtection::new().trusting(["https://login.example.com"])?;
/// let app = App::new().wrap(CrossOriginMiddleware::with(protection));
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrossOriginMiddleware {
    protection: CrossOriginProtection,
}

impl CrossOriginMiddleware {
    /// Trusts no other origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts other origins too.
    pub fn with(protection: CrossOriginProtection) -> Self {
        Self { protection }
    }
}

impl<S, B> Transform<S, ServiceRequest> for CrossOriginMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = CrossOriginService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(CrossOriginService {
            inner,
            protection: self.protection.clone(),
        }))
    }
}

/// A service that other origins cannot post to; made by [`CrossOriginMiddleware`].
#[derive(Clone, Debug)]
pub struct CrossOriginService<S> {
    inner: S,
    protection: CrossOriginProtection,
}

impl<S, B> Service<ServiceRequest> for CrossOriginService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future =
        Either<MapOk<S::Future, fn(ServiceResponse<B>) -> Self::Response>, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.judge(&request) {
            Ok(()) => Either::Left(self.inner.call(request).map_ok(ServiceResponse::map_into_left_body)),
            Err(why) => {
                let mut response = HttpResponse::Forbidden().finish();
                response.extensions_mut().insert(why);
                Either::Right(ready(Ok(request.into_response(response).map_into_right_body())))
            }
        }
    }
}

impl<S> CrossOriginService<S> {
    fn judge(&self, request: &ServiceRequest) -> Result<(), CrossOriginRefused> {
        let method = bridge::method(request.method());
        let uri = bridge::authority(request.uri());
        let headers = bridge::some_of(request.headers(), &CrossOriginProtection::HEADERS);
        self.protection.check(&method, &uri, &headers)
    }
}
