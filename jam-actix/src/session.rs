//! The session as handlers get it.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use jam_core::ErrorKind;

use crate::Error;

/// The session of a request: everything it can do is at [`jam_http::Session`].
///
/// It is an extractor. Extracting it costs nothing: the store is asked when a method needs it. A middleware further in
/// takes it from the request's extensions. It fails with a 500 if there is no
/// [`SessionMiddleware`](crate::SessionMiddleware) around the route.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) jam_http::Session);

impl Session {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Error> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            let message = "no `SessionMiddleware` is around this route";
            jam_core::Error::new(ErrorKind::Config, message).into()
        })
    }
}

impl Deref for Session {
    type Target = jam_http::Session;

    fn deref(&self) -> &jam_http::Session {
        &self.0
    }
}

impl FromRequest for Session {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
