//! Building a blocking manager: the settings of the async one.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::{Clock, IdCodec, IdFactory, Result, Sealer, Serializer, SessionStore, WhenFull};

/// Settings of a blocking manager; from [`Sessions::builder`]. Meaning, defaults and bounds are those of
/// [`jam::SessionsBuilder`](crate::SessionsBuilder).
#[derive(Debug)]
#[must_use]
pub struct SessionsBuilder(crate::SessionsBuilder);

impl SessionsBuilder {
    pub(super) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self(crate::Sessions::builder_on(store))
    }

    /// The idle lifetime; one hour by default. See
    /// [`ttl`](crate::SessionsBuilder::ttl).
    pub fn ttl(self, ttl: impl Into<Option<Duration>>) -> Self {
        Self(self.0.ttl(ttl))
    }

    /// The absolute lifetime; none by default. See
    /// [`max_lifetime`](crate::SessionsBuilder::max_lifetime).
    pub fn max_lifetime(self, max_lifetime: impl Into<Option<Duration>>) -> Self {
        Self(self.0.max_lifetime(max_lifetime))
    }

    /// Whether reading a session counts as using it. See
    /// [`renew_on_read`](crate::SessionsBuilder::renew_on_read).
    pub fn renew_on_read(self, renew: bool) -> Self {
        Self(self.0.renew_on_read(renew))
    }

    /// How many sessions one key may have, and what happens to one more. See
    /// [`max_sessions`](crate::SessionsBuilder::max_sessions).
    pub fn max_sessions(self, max: usize, when_full: WhenFull) -> Self {
        Self(self.0.max_sessions(max, when_full))
    }

    /// For how long an old id still reaches its session after a rotation with grace. See
    /// [`grace`](crate::SessionsBuilder::grace).
    pub fn grace(self, grace: impl Into<Option<Duration>>) -> Self {
        Self(self.0.grace(grace))
    }

    /// How ids look to clients and to the store. See
    /// [`ids`](crate::SessionsBuilder::ids).
    pub fn ids(self, codec: impl IdCodec) -> Self {
        Self(self.0.ids(codec))
    }

    /// Where the unique, non-secret part of ids comes from. See
    /// [`id_factory`](crate::SessionsBuilder::id_factory).
    pub fn id_factory(self, factory: impl IdFactory) -> Self {
        Self(self.0.id_factory(factory))
    }

    /// Seals the data on its way to the store. See
    /// [`sealer`](crate::SessionsBuilder::sealer).
    pub fn sealer(self, sealer: impl Sealer) -> Self {
        Self(self.0.sealer(sealer))
    }

    /// How data becomes bytes. See
    /// [`serializer`](crate::SessionsBuilder::serializer).
    pub fn serializer(self, serializer: impl Serializer) -> Self {
        Self(self.0.serializer(serializer))
    }

    /// Where the time comes from. Give an in-process store the same. See
    /// [`clock`](crate::SessionsBuilder::clock).
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self(self.0.clock(clock))
    }

    /// How often a compare-and-swap is tried before the conflict is given up to the caller. See
    /// [`max_attempts`](crate::SessionsBuilder::max_attempts).
    pub fn max_attempts(self, attempts: u32) -> Self {
        Self(self.0.max_attempts(attempts))
    }

    /// Checks the settings, builds the manager and starts its thread. Does no I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a setting out of bounds, or one that the ids cannot carry;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no thread.
    pub fn build(self) -> Result<Sessions> {
        self.0.build()?.try_into()
    }
}
