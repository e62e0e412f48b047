//! Errors that are responses.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::Response;

/// What a handler gives that passes on the errors of its session.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a session that is a response: `?` makes one of every error of [`jam_http`] and of the manager. Which
/// status it has is at [`jam_http::Error`]. A handler that wants another answer matches on that; a service that wants
/// another one everywhere says so at its layer, with [`on_error`](crate::SessionLayer::on_error).
#[derive(Clone, Debug)]
pub struct Error(Arc<jam_http::Error>);

impl Error {
    /// Turns it into a response: its status and headers, and a body of its default kind (an empty one). The
    /// [`on_error`](crate::SessionLayer::on_error) of the layer around still has its say.
    pub fn into_response_with<B: Default>(self) -> Response<B> {
        if self.status().is_server_error() {
            let error: &(dyn std::error::Error + 'static) = &*self.0;
            tracing::error!(error, "a handler failed on its session");
        }
        let mut response = Plain.answer(&self.0);
        response.extensions_mut().insert(self);
        response
    }
}

/// Makes the response an error is: a closure from the error to a response, or [`Plain`].
pub trait Answer<B> {
    /// The response to this error. The layer adds the headers every response needs.
    fn answer(&self, error: &jam_http::Error) -> Response<B>;

    /// Whether it also goes in place of the response that a handler's error became on its way out.
    fn replaces(&self) -> bool {
        true
    }
}

/// The status and the headers of the error, and an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<B: Default> Answer<B> for Plain {
    fn answer(&self, error: &jam_http::Error) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        error.apply(response.headers_mut());
        response
    }

    // That response is this one, with the headers that layers on the way have added.
    fn replaces(&self) -> bool {
        false
    }
}

impl<B, F: Fn(&jam_http::Error) -> Response<B>> Answer<B> for F {
    fn answer(&self, error: &jam_http::Error) -> Response<B> {
        self(error)
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
        fmt::Display::fmt(&*self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<jam_http::Error> for Error {
    fn from(error: jam_http::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<jam_core::Error> for Error {
    fn from(error: jam_core::Error) -> Self {
        jam_http::Error::from(error).into()
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Error {
    fn into_response(self) -> axum_core::response::Response {
        self.into_response_with()
    }
}
