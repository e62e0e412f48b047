//! The choices there are, checked together when they are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jam_core::{Error, ErrorKind, Result, SessionKey, Sessions};

use crate::cookie::{CookieConfig, CookieWriter};

/// How session ids travel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// In a cookie; for browsers.
    Cookie(CookieConfig),
    /// As `Authorization: Bearer <id>` (RFC 6750); for API clients. A new id goes out in the response header
    /// `session-token`, and a handler gets it from [`Session::token`](crate::Session::token). The header is empty when
    /// the session has ended.
    Bearer,
}

impl Default for Transport {
    fn default() -> Self {
        Self::Cookie(CookieConfig::new())
    }
}

/// What happens where a session is there and cannot be read: its bytes are damaged, or sealed with a key that is no longer
/// in the ring. It is logged once per request, at level ERROR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undecodable {
    /// The handler gets the error: a 500 by default.
    #[default]
    Fail,
    /// The client counts as having no session. What the store holds stays there, until it expires.
    StartFresh,
}

/// What a web layer needs to know. Cloning is cheap.
#[derive(Clone)]
pub struct SessionConfig {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sessions: Sessions,
    pub(crate) carrier: Carrier,
    pub(crate) undecodable: Undecodable,
    pub(crate) rotate_every: Option<Duration>,
    pub(crate) keep_changes_of_failures: bool,
    pub(crate) retry_after: Duration,
    pub(crate) visitor_prefix: String,
    pub(crate) former_visitor_prefixes: Vec<String>,
}

/// The transport, ready to write.
#[derive(Debug)]
pub(crate) enum Carrier {
    Cookie(CookieWriter),
    Bearer,
}

impl SessionConfig {
    /// The default choices: see [`builder`](Self::builder).
    pub fn new(sessions: Sessions) -> Self {
        Self::of(
            SessionConfigBuilder::new(sessions),
            Carrier::Cookie(CookieWriter::default()),
        )
    }

    /// Choices of your own.
    pub fn builder(sessions: Sessions) -> SessionConfigBuilder {
        SessionConfigBuilder::new(sessions)
    }

    /// The manager.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Whether ids of both travel in one place: in cookies of one name, or both as bearer tokens. A web layer that finds itself
    /// inside another of the same place has to leave the session to the outer one.
    pub fn shares_place_with(&self, other: &Self) -> bool {
        match (&self.inner.carrier, &other.inner.carrier) {
            (Carrier::Cookie(cookie), Carrier::Cookie(other)) => cookie.name() == other.name(),
            (Carrier::Bearer, Carrier::Bearer) => true,
            _ => false,
        }
    }

    fn of(builder: SessionConfigBuilder, carrier: Carrier) -> Self {
        Self {
            inner: Arc::new(Inner {
                sessions: builder.sessions,
                carrier,
                undecodable: builder.undecodable,
                rotate_every: builder.rotate_every,
                keep_changes_of_failures: builder.keep_changes_of_failures,
                retry_after: builder.retry_after,
                visitor_prefix: builder.visitor_prefix,
                former_visitor_prefixes: builder.former_visitor_prefixes,
            }),
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("sessions", &self.inner.sessions)
            .field("carrier", &self.inner.carrier)
            .field("rotate_every", &self.inner.rotate_every)
            .finish_non_exhaustive()
    }
}

/// Choices of a [`SessionConfig`].
///
/// | choice | default |
/// |---|---|
/// | [`transport`](Self::transport) | the cookie `__Host-session`, see [`CookieConfig`] |
/// | [`rotate_every`](Self::rotate_every) | never |
/// | [`undecodable`](Self::undecodable) | the handler gets the error |
/// | [`keep_changes_of_failures`](Self::keep_changes_of_failures) | no |
/// | [`retry_after`](Self::retry_after) | 5 s |
/// | [`visitor_prefix`](Self::visitor_prefix) | `visitor:` |
/// | [`former_visitor_prefixes`](Self::former_visitor_prefixes) | none |
#[derive(Debug)]
#[must_use]
pub struct SessionConfigBuilder {
    sessions: Sessions,
    transport: Transport,
    undecodable: Undecodable,
    rotate_every: Option<Duration>,
    keep_changes_of_failures: bool,
    retry_after: Duration,
    visitor_prefix: String,
    former_visitor_prefixes: Vec<String>,
}

impl SessionConfigBuilder {
    /// The manager.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            transport: Transport::default(),
            undecodable: Undecodable::default(),
            rotate_every: None,
            keep_changes_of_failures: false,
            retry_after: crate::Error::RETRY_AFTER,
            visitor_prefix: "visitor:".to_owned(),
            former_visitor_prefixes: Vec::new(),
        }
    }

    /// How ids travel.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// In this cookie.
    pub fn cookie(self, cookie: CookieConfig) -> Self {
        self.transport(Transport::Cookie(cookie))
    }

    /// As `Authorization: Bearer`.
    pub fn bearer(self) -> Self {
        self.transport(Transport::Bearer)
    }

    /// Gives a session a new id once its id is this old, at the end of the next request that looks at it. The old id
    /// still reaches the session for the manager's [grace](jam_core::SessionsBuilder::grace), so that the other requests
    /// of a page are not logged out; one of them alone gets the new id. Who comes with the old id in the second half of the
    /// grace has not heard of the new one, since that answer was lost, and gets another. At least a second, and not
    /// shorter than the grace.
    pub fn rotate_every(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.rotate_every = every.into();
        self
    }

    /// What happens where a session cannot be read.
    pub fn undecodable(mut self, undecodable: Undecodable) -> Self {
        self.undecodable = undecodable;
        self
    }

    /// Whether the fields a handler set and removed are written although its response is a 5xx or a 408 (a timeout
    /// further in may have stopped it half-way) or has a `grpc-status` that stands for a 5xx among its headers, or although it
    /// panicked. Where there is no response at all they are written to a session that is there, and begin none. What
    /// reached the store when it was called ([`login`](crate::Session::login), [`modify`](crate::Session::modify) and
    /// the like) stays in any case.
    pub fn keep_changes_of_failures(mut self, keep: bool) -> Self {
        self.keep_changes_of_failures = keep;
        self
    }

    /// The `Retry-After` of a 503, in whole seconds.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = after;
        self
    }

    /// What the session keys of visitors begin with: of sessions that began without a login, because a handler wrote to
    /// them. Every visitor has a session key of their own, this and a random text, so that
    /// [`list`](crate::Session::list) and [`clear_others`](crate::Session::clear_others) of one visitor never reach
    /// another's, and a cap on sessions per key counts nobody else's. (On Redis, where each key has a hash of its own,
    /// a visitor is one such hash.) Nobody can log in under a key that begins like this.
    ///
    /// **Who is a visitor is told by this alone.** Services on one store need the same prefix, and where it changes, the old one
    /// belongs into [`former_visitor_prefixes`](Self::former_visitor_prefixes): visitors that are still about would count as
    /// users who are logged in.
    pub fn visitor_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.visitor_prefix = prefix.into();
        self
    }

    /// What else the session keys of visitors begin with, or began with before
    /// [`visitor_prefix`](Self::visitor_prefix) was changed: such sessions are visitors', and nobody can log in under such a
    /// key. To be kept until the last of them has expired.
    pub fn former_visitor_prefixes<P: Into<String>>(mut self, prefixes: impl IntoIterator<Item = P>) -> Self {
        self.former_visitor_prefixes = prefixes.into_iter().map(Into::into).collect();
        self
    }

    /// Checks the choices.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for one that is out of bounds or does not go with another.
    pub fn build(self) -> Result<SessionConfig> {
        let wrong = |what: &'static str| Err(Error::new(ErrorKind::Config, what));
        let carrier = match &self.transport {
            Transport::Cookie(cookie) => Carrier::Cookie(cookie.writer()?),
            Transport::Bearer => Carrier::Bearer,
        };
        if let Some(every) = self.rotate_every {
            if every < Duration::from_secs(1) {
                return wrong("`rotate_every` must be at least one second, or none");
            }
            let Some(grace) = self.sessions.grace() else {
                return wrong("`rotate_every` needs `grace`, or the other requests of a page would be logged out");
            };
            if every < grace {
                return wrong("`rotate_every` must not be shorter than `grace`");
            }
        }
        if self.visitor_prefix.is_empty() || self.visitor_prefix.len() > SessionKey::MAX_LEN - 64 {
            return wrong("`visitor_prefix` must have 1 to 448 bytes");
        }
        if self.former_visitor_prefixes.iter().any(String::is_empty) {
            return wrong("every key begins with an empty prefix; `former_visitor_prefixes` must not have one");
        }
        Ok(SessionConfig::of(self, carrier))
    }
}
