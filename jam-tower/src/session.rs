//! The session as handlers get it.

use std::ops::Deref;

/// The session of a request: everything it can do is at [`jam_http::Session`].
///
/// With axum it is an extractor. With plain tower or hyper, take it from the request's extensions:
/// `request.extensions().get::<Session>()`.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) jam_http::Session);

impl Deref for Session {
    type Target = jam_http::Session;

    fn deref(&self) -> &jam_http::Session {
        &self.0
    }
}
