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
    /// Whether the handler failed, whatever the status says.
    failed: bool,
    /// Whether a response carries what the exchange says.
    heard: bool,
}

/// How a handler ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// It may have stopped half-way.
    pub(crate) failed: bool,
    /// It answered 401.
    pub(crate) challenge: bool,
    /// A response carries what the exchange says.
    pub(crate) heard: bool,
}

/// The header by which a gRPC response says how the call ended.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

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
            failed: false,
            heard: true,
        }
    }

    /// Says what the method of the request is. It matters for `CONNECT`, with which a WebSocket begins over HTTP/2 and HTTP/3
    /// (RFC 8441, RFC 9220): a 2xx to it is no page either, but the beginning of another protocol, as a 101 is.
    #[must_use]
    pub fn with_method(mut self, method: &Method) -> Self {
        self.connect = method == Method::CONNECT;
        self
    }

    /// Says which headers the response has: `values` gives those of the one header it asks for. It matters for gRPC,
    /// where a call that failed is answered 200 all the same: a `grpc-status` that stands for a 5xx or for half a call
    /// (`CANCELLED`, `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, and what is no
    /// code) counts as a failure, whatever the status.
    ///
    /// That is how a server answers a call that fails before it has given anything. The `grpc-status` of one that has
    /// begun its answer comes in the trailers, when the session is long written, and counts for nothing here.
    #[must_use]
    pub fn with_response_headers<'a, I>(mut self, values: impl FnOnce(&HeaderName) -> I) -> Self
    where
        I: Iterator<Item = &'a [u8]>,
    {
        self.failed |= values(&GRPC_STATUS).any(is_failure_of_grpc);
        self
    }

    /// Says that there is no response that would carry a new id: the service gave an error in its place. It counts as a
    /// failure, whatever the status; and no session begins and no id is
    /// [rotated](crate::SessionConfigBuilder::rotate_every), since the client would never hear of the new one. What
    /// [`finish`](Self::finish) gives is then for nobody.
    #[must_use]
    pub fn without_response(mut self) -> Self {
        self.failed = true;
        self.heard = false;
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
        match self.session.close_unchanged(self.end(status)) {
            Some(closing) => Ok(Some(closing)),
            None => Err(self),
        }
    }

    /// Writes what the handler changed and gives what the response has to carry; to be called when the handler has
    /// answered with this status, before the headers leave. Afterwards the session can be read, and no longer changed.
    ///
    /// The field changes of a 5xx, and of a 408, are dropped unless the
    /// [configuration](crate::SessionConfigBuilder::keep_changes_of_failures) keeps them. A handler that panicked
    /// counts as a 500. So does one that gave [no response](Self::without_response) at all; and
    /// [by its headers](Self::with_response_headers) a 200 of gRPC may be a failure too.
    pub async fn finish(self, status: StatusCode) -> Closing {
        self.before_the_end(status);
        self.session.close(self.end(status)).await
    }

    fn end(&self, status: StatusCode) -> End {
        End {
            failed: self.failed || is_failure(status),
            challenge: status == StatusCode::UNAUTHORIZED,
            heard: self.heard,
        }
    }

    /// A change of protocol is no page, and what comes after it may well look.
    fn before_the_end(&self, status: StatusCode) {
        if status == StatusCode::SWITCHING_PROTOCOLS || self.connect && status.is_success() {
            self.session.will_be_seen();
        }
    }
}

/// Whether a handler may have stopped half-way. A timeout further in that drops one answers 408 as often as 503 or 504.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

/// All but `OK` and the codes that stand for a 4xx, by the HTTP mapping of google.rpc.Code.
fn is_failure_of_grpc(status: &[u8]) -> bool {
    let answers: [&[u8]; 10] = [b"0", b"3", b"5", b"6", b"7", b"8", b"9", b"10", b"11", b"16"];
    !answers.contains(&status)
}

/// A client that hung up: what a task would still change goes nowhere, and is an error.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.shut();
    }
}
