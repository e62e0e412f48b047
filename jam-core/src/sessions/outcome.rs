//! How an operation went, in one word for spans and metrics.

use crate::ErrorKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Missing,
    /// Dropped before it was over.
    Cancelled,
    Failed(ErrorKind),
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Cancelled => "cancelled",
            Self::Failed(kind) => match kind {
                ErrorKind::NotFound => "not_found",
                ErrorKind::AlreadyExists => "already_exists",
                ErrorKind::Conflict => "conflict",
                ErrorKind::InvalidId => "invalid_id",
                ErrorKind::InvalidInput => "invalid_input",
                ErrorKind::LimitReached => "limit_reached",
                ErrorKind::Unavailable => "unavailable",
                ErrorKind::Corrupt => "corrupt",
                ErrorKind::Crypto => "crypto",
                ErrorKind::Config => "config",
                ErrorKind::Unsupported => "unsupported",
                ErrorKind::Unexpected => "unexpected",
            },
        }
    }
}

#[cfg(feature = "metrics")]
impl Outcome {
    /// How many there are.
    pub(crate) const COUNT: usize = 3 + ErrorKind::Unexpected as usize + 1;

    /// A number of its own, below [`COUNT`](Self::COUNT).
    pub(crate) const fn number(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Missing => 1,
            Self::Cancelled => 2,
            Self::Failed(kind) => 3 + kind as usize,
        }
    }
}
