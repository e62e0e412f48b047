//! What an id and the settings tell about a session's life, without asking the store; for those that carry ids, such as
//! web layers.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::{Clock, Life};

impl Sessions {
    /// How long a session lives that is written now under this id; `None` if it does not end by itself, or if this is no
    /// id of this service. The store is not asked.
    pub fn lifetime(&self, id: impl AsRef<str>) -> Option<Duration> {
        let at = self.resolve(id.as_ref()).ok()??;
        // One look at the clock for both ends: an hour is an hour, and no millisecond less.
        let now = self.inner.clock.now();
        Some(self.inner.expiry.expires_at(at.life(), now)?.since(now))
    }

    /// When a session of this id began, and the ttl of its own; `None` if the id does not tell, or if this is no id of
    /// this service. The store is not asked.
    pub fn life(&self, id: impl AsRef<str>) -> Option<Life> {
        self.resolve(id.as_ref()).ok()??.described.life
    }

    /// The clock of this manager.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// For how long an id still works after a [rotation with grace](Self::rework_with_grace); `None`: there is none.
    pub fn grace(&self) -> Option<Duration> {
        self.inner.grace
    }

    /// Whether [reading a session counts as using it](super::SessionsBuilder::renew_on_read).
    pub fn renews_on_read(&self) -> bool {
        self.inner.expiry.renew_on_read
    }
}
