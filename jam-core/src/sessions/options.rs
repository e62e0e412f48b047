//! Options of one session, and of how many a key may have.

use std::time::Duration;

/// What one session has of its own.
///
/// ```
/// use jam_core::SessionOptions;
/// use std::time::Duration;
///
/// let remember_me = SessionOptions::new().ttl(Duration::from_secs(30 * 24 * 3600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    pub(super) ttl: Option<Duration>,
}

impl SessionOptions {
    /// Nothing of its own.
    pub const fn new() -> Self {
        Self { ttl: None }
    }

    /// A ttl of the session's own in place of the configured one ("remember me"), to the second, at least one. It stays
    /// with the session through every rework. The absolute lifetime counts all the same.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// What happens to the newest session of a key that holds as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The oldest sessions of the key end.
    EvictOldest,
    /// The new one is refused with [`LimitReached`](crate::ErrorKind::LimitReached).
    Refuse,
}
