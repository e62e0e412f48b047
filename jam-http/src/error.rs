//! What can go wrong between a handler and its session, and what that is as a response.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jam_core::ErrorKind;

/// What every fallible call of a [`Session`](crate::Session) gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a handler did not get what it asked of its session. Every error is also a sensible response:
///
/// | error | status |
/// |---|---|
/// | [`Ambiguous`](Self::Ambiguous) | 400 |
/// | [`InvalidUser`](Self::InvalidUser) | 400 |
/// | [`LoginRequired`](Self::LoginRequired) | 401 |
/// | [`Unavailable`](Self::Unavailable) | 503 with `Retry-After` |
/// | [`Late`](Self::Late) | 500 |
/// | [`Sessions`](Self::Sessions) of kind `NotFound` (the session ended meanwhile) | 401 |
/// | [`Sessions`](Self::Sessions) of kind `LimitReached` | 409 |
/// | [`Sessions`](Self::Sessions) of another kind | 500 |
///
/// An error response leaves the client's cookie alone, so a user whose session could not be read for a while is still
/// logged in afterwards. No error shows an id, a session key or data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request names more than one session: two cookies of that name, or two `Authorization` headers. No honest
    /// browser does; somebody may have planted one. Neither is believed.
    #[error("the request carries more than one session id; none of them is believed")]
    Ambiguous,
    /// Nobody can be logged in under this name: it is empty, has more than 512 bytes, or begins like
    /// [a visitor's](crate::SessionConfigBuilder::visitor_prefix).
    #[error("nobody can be logged in under this session key")]
    InvalidUser {
        /// What is wrong with it.
        source: jam_core::Error,
    },
    /// Nobody is logged in, and the handler asked for a user.
    #[error("nobody is logged in")]
    LoginRequired,
    /// The session store cannot be reached, or lost a race too often. The session is as it was, unless
    /// [`outcome_unknown`](jam_core::Error::outcome_unknown).
    #[error("the session store is unavailable")]
    Unavailable {
        /// What the manager said.
        source: jam_core::Error,
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// The session was to be changed, or looked at for the first time, after the response's headers had left, by a task or
    /// a streaming body. Nothing was changed.
    #[error(
        "the session was to be changed, or first looked at, after the response's headers had left; do that before the \
         handler returns"
    )]
    Late,
    /// Any other error of the manager.
    #[error(transparent)]
    Sessions(jam_core::Error),
}

/// Of a call to the [manager](crate::SessionConfig::sessions) itself: sorted as a [`Session`](crate::Session) does, with the
/// default [`retry_after`](crate::SessionConfigBuilder::retry_after) of five seconds.
impl From<jam_core::Error> for Error {
    fn from(error: jam_core::Error) -> Self {
        Self::of(error, Self::RETRY_AFTER)
    }
}

impl Error {
    /// The `Retry-After` that a 503 has by default.
    pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

    /// The status of the response this error is.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Ambiguous | Self::InvalidUser { .. } => StatusCode::BAD_REQUEST,
            Self::LoginRequired => StatusCode::UNAUTHORIZED,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Sessions(error) => match error.kind() {
                ErrorKind::NotFound => StatusCode::UNAUTHORIZED,
                ErrorKind::LimitReached => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// Adds the headers of the response this error is: `Retry-After` to a 503, unless it has one.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Self::Unavailable { retry_after, .. } = self {
            let retry_after = HeaderValue::from(retry_after.as_secs().max(1));
            headers.entry(header::RETRY_AFTER).or_insert(retry_after);
        }
    }

    /// The kind of the manager's error, if it is one.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Unavailable { source, .. } | Self::InvalidUser { source } | Self::Sessions(source) => {
                Some(source.kind())
            }
            _ => None,
        }
    }

    /// Sorts an error of the manager.
    pub(crate) fn of(error: jam_core::Error, retry_after: Duration) -> Self {
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Conflict => Self::Unavailable {
                source: error,
                retry_after,
            },
            _ => Self::Sessions(error),
        }
    }
}
