//! Errors that are responses.

use std::fmt;
use std::ops::Deref;

use http::Response;

/// What a handler gives that passes on the errors of its session.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a session that is a response: `?` makes one of every error of [`jam_http`] and of the manager. Which
/// status it has is at [`jam_http::Error`]; match on that to answer in your own way.
#[derive(Debug)]
pub struct Error(jam_http::Error);

impl Error {
    /// The error it was.
    pub fn into_inner(self) -> jam_http::Error {
        self.0
    }

    /// Turns it into a response: its status and headers, and a body of its default kind (an empty one).
    pub fn into_response_with<B: Default>(self) -> Response<B> {
        answer(&self.0)
    }
}

/// The response an error is.
pub(crate) fn answer<B: Default>(error: &jam_http::Error) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = error.status();
    error.apply(response.headers_mut());
    response
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

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Error {
    fn into_response(self) -> axum_core::response::Response {
        self.into_response_with()
    }
}
