//! The one error type of jam: a kind to act on, a message to read, context, and the source it came from.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What every fallible call of jam gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in a form that code can act on.
///
/// | kind | meaning | what helps |
/// |---|---|---|
/// | [`NotFound`](Self::NotFound) | there is no such session (any more) | log in again |
/// | [`AlreadyExists`](Self::AlreadyExists) | an insert or rename met a record of that id | nothing; ids are random, so this is a bug or a hostile id factory |
/// | [`Conflict`](Self::Conflict) | somebody else changed the session meanwhile | load again and retry; `modify` does it by itself |
/// | [`InvalidId`](Self::InvalidId) | the text is not a session id of this service | treat the client as having no session |
/// | [`InvalidInput`](Self::InvalidInput) | a session key, data or argument is out of bounds | fix the call |
/// | [`LimitReached`](Self::LimitReached) | the key holds as many sessions as it may | end one, or configure eviction |
/// | [`Unavailable`](Self::Unavailable) | the store cannot be reached, is full or read-only | retry later; see [`Error::outcome_unknown`] |
/// | [`Corrupt`](Self::Corrupt) | stored bytes are damaged | restore from a backup |
/// | [`Crypto`](Self::Crypto) | a sealed id or payload does not open | check the key ring |
/// | [`Config`](Self::Config) | a setting is wrong | fix the setting the message names |
/// | [`Unsupported`](Self::Unsupported) | this store or server cannot do that, or not from here | choose another store, setting or place to call from |
/// | [`Unexpected`](Self::Unexpected) | a bug, or a failure nobody foresaw | report it |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such session (any more).
    NotFound,
    /// A record of that id is there already.
    AlreadyExists,
    /// The record is no longer the one that was loaded.
    Conflict,
    /// The text is not a session id of this service.
    InvalidId,
    /// A session key, data or another argument is out of bounds.
    InvalidInput,
    /// The session key holds as many sessions as it may.
    LimitReached,
    /// The store cannot do its work right now: not reached, full, read-only, closed.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// A sealed id or payload does not open, or a key is no key.
    Crypto,
    /// A setting is wrong.
    Config,
    /// This store, server or layout cannot do that; or a call that waits was made inside async code.
    Unsupported,
    /// A bug, or a failure nobody foresaw.
    Unexpected,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::InvalidId => "invalid id",
            Self::InvalidInput => "invalid input",
            Self::LimitReached => "limit reached",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Crypto => "crypto",
            Self::Config => "configuration",
            Self::Unsupported => "unsupported",
            Self::Unexpected => "unexpected",
        })
    }
}

/// An error of jam.
///
/// `Display` gives one line: the kind, what happened, and the context (`operation=rework, backend=redis`). The cause is
/// behind [`source`](StdError::source) and is not repeated in that line. No error ever holds a session id, a secret, a
/// payload or a password; whoever adds context keeps it that way.
///
/// ```
/// use jam_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "the server did not answer within 2 s")
///     .with("backend", "redis");
/// assert_eq!(error.to_string(), "unavailable: the server did not answer within 2 s (backend=redis)");
/// assert!(error.is_retryable());
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(thiserror::Error)]
#[error("{kind}: {message}{}", self.context())]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, Cow<'static, str>)>,
    outcome_unknown: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Inner {
    fn context(&self) -> String {
        if self.context.is_empty() {
            return String::new();
        }
        let parts: Vec<_> = self
            .context
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(" ({})", parts.join(", "))
    }
}

impl Error {
    /// An error of this kind. The message says what was tried, why it failed and, where it can, what would help.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            outcome_unknown: false,
            source: None,
        }))
    }

    /// Adds a named fact, such as `("backend", "redis")`. Never an id, a secret, a payload or a password.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks a write that may have reached the store although no answer came back. See
    /// [`outcome_unknown`](Self::outcome_unknown).
    #[must_use]
    pub fn with_outcome_unknown(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, in words, without kind and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may be made again as it is: a [`Conflict`](ErrorKind::Conflict), or a store that is
    /// [`Unavailable`](ErrorKind::Unavailable), unless the outcome of a write is unknown.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::Unavailable) && !self.outcome_unknown()
    }

    /// Whether a write may have taken effect although this error came back (the reply was lost). Look before you write
    /// again: jam itself never sends such a write twice.
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind).field("message", &self.message);
        for (name, value) in &self.context {
            out.field(name, value);
        }
        if self.outcome_unknown {
            out.field("outcome_unknown", &true);
        }
        if let Some(source) = &self.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(
            kind,
            match kind {
                ErrorKind::NotFound => "there is no such session",
                ErrorKind::AlreadyExists => "a session of that id is there already",
                ErrorKind::Conflict => "the session was changed by somebody else meanwhile; load it again and retry",
                ErrorKind::InvalidId => "that is not a session id of this service",
                _ => "the operation failed",
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide_so_that_results_stay_small() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_cause_is_in_the_chain_once() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Unavailable, "the journal cannot be written").with_source(io);
        assert!(!error.to_string().contains("disk on fire"));
        let source = error.source().expect("source");
        assert_eq!(source.to_string(), "disk on fire");
        assert!(source.source().is_none());
    }

    #[test]
    fn a_write_of_unknown_outcome_is_not_retryable() {
        let error = Error::new(ErrorKind::Unavailable, "reply lost").with_outcome_unknown();
        assert!(error.outcome_unknown());
        assert!(!error.is_retryable());
    }
}
