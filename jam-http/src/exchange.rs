//! One request and its response.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::wire::Arrived;
use crate::{Closing, Session, SessionConfig};

/// One request and its response, for those who write a web layer: begin with the request's headers, hand the session to the
/// handler, finish before the response leaves.
///
/// Beginning does no I/O. Neither does the rest if the handler never looks at the session. An exchange that is dropped
/// without being finished writes nothing: that is a client that hung up. (What reached the store when it was called stays;
/// a client that hangs up right after its login has lost its new id and logs in again.)
#[derive(Debug)]
pub struct Exchange {
    session: Session,
    /// Whether the request asks for a connection of another protocol by its method.
    connect: bool,
}

impl Exchange {
    /// Begins with the headers of the request.
    pub fn begin(config: &SessionConfig, headers: &HeaderMap) -> Self {
        Self::begin_with(config, |name| headers.get_all(name).iter().map(HeaderValue::as_bytes))
    }

    /// The same for a web layer that has another type of headers: `values` gives those of the one header it asks for.
    pub fn begin_with<'a, I>(config: &SessionConfig, values: impl FnOnce(&HeaderName) -> I) -> Self
    where
        I: Iterator<Item = &'a [u8]>,
    {
        let arrived = Arrived::read(&config.inner().carrier, values);
        Self {
            session: Session::new(config.clone(), arrived),
            connect: false,
        }
    }

    /// Says what the method of the request is. It matters for `CONNECT`, with which a WebSocket begins over HTTP/2 and HTTP/3
    /// (RFC 8441, RFC 9220): a 2xx to it is no page either, but the beginning of another protocol, as a 101 is.
    #[must_use]
    pub fn with_method(mut self, method: &Method) -> Self {
        self.connect = method == Method::CONNECT;
        self
    }

    /// The handler's view.
    pub fn session(&self) -> Session {
        self.session.clone()
    }

    /// Whether anybody has looked at the session. If not, finishing writes nothing and leaves the response as it is, whatever
    /// its status.
    pub fn looked_at(&self) -> bool {
        self.session.is_looked_at()
    }

    /// Finishes at once, without a future, if there is nothing to write; `None` if the handler never looked at the session, so
    /// that the response stays as it is.
    ///
    /// # Errors
    /// The exchange, if there is something to write: [`finish`](Self::finish) it.
    pub fn finish_at_once(self, status: StatusCode) -> Result<Option<Closing>, Self> {
        self.before_the_end(status);
        if !self.session.shut() {
            return Ok(None);
        }
        match self.session.close_unchanged(status) {
            Some(closing) => Ok(Some(closing)),
            None => Err(self),
        }
    }

    /// Writes what the handler changed and gives what the response has to carry; to be called when the handler has
    /// answered with this status, before the headers leave. Afterwards the session can be read, and no longer changed.
    ///
    /// The field changes of a 5xx, and of a 408, are dropped unless the
    /// [configuration](crate::SessionConfigBuilder::keep_changes_of_failures) keeps them. A handler that panicked, or gave no
    /// response at all, counts as a 500.
    pub async fn finish(self, status: StatusCode) -> Closing {
        self.before_the_end(status);
        self.session.close(status).await
    }

    /// A change of protocol is no page, and what comes after it may well look.
    fn before_the_end(&self, status: StatusCode) {
        if status == StatusCode::SWITCHING_PROTOCOLS || self.connect && status.is_success() {
            self.session.will_be_seen();
        }
    }
}

/// A client that hung up: what a task would still change goes nowhere, and is an error.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.shut();
    }
}
