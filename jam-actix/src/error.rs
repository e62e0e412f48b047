//! Errors that are responses.

use std::fmt;
use std::ops::Deref;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use http::HeaderMap;

use crate::bridge;

/// What a handler gives that passes on the errors of its session.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a session that is a response: `?` makes one of every error of [`jam_http`] and of the manager. Which
/// status it has is at [`jam_http::Error`]; the body is empty. A handler that wants another answer matches on that; a
/// service that wants another one everywhere says so at its middleware, with
/// [`on_error`](crate::SessionMiddleware::on_error).
#[derive(Debug)]
pub struct Error(jam_http::Error);

impl Error {
    /// The error it was.
    pub fn into_inner(self) -> jam_http::Error {
        self.0
    }
}

/// The status and the headers of an error, and an empty body.
pub(crate) fn plain(error: &jam_http::Error) -> HttpResponse {
    let mut response = HttpResponse::new(bridge::status(error.status()));
    let mut headers = HeaderMap::new();
    error.apply(&mut headers);
    bridge::write_back(&headers, response.headers_mut());
    response
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        bridge::status(self.0.status())
    }

    fn error_response(&self) -> HttpResponse {
        plain(&self.0)
    }
}

impl Deref for Error {
    type Target = jam_http::Error;

    fn deref(&self) -> &jam_http::Error {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<jam_http::Error> for Error {
    fn from(error: jam_http::Error) -> Self {
        Self(error)
    }
}

impl From<jam_core::Error> for Error {
    fn from(error: jam_core::Error) -> Self {
        Self(error.into())
    }
}
