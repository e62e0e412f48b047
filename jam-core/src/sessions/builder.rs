//! Building a manager: every setting in one place, checked together.

use std::sync::Arc;
use std::time::Duration;

use super::cap::Cap;
use super::expiry::Expiry;
use super::outage::Outage;
use super::queue::Queue;
use super::{Inner, Serializer, Sessions, WhenFull};
use crate::{
    Clock, Error, ErrorKind, Handle, HashedIds, IdCodec, IdFactory, Life, RecordId, Result, SealContext, SealDomain,
    Sealer, SessionKey, SessionStore, SystemClock, Timestamp, UuidV7,
};

/// Settings of a [`Sessions`] manager; from [`Sessions::builder`].
///
/// | setting | default |
/// |---|---|
/// | [`ttl`](Self::ttl) | 3600 s |
/// | [`max_lifetime`](Self::max_lifetime) | none |
/// | [`renew_on_read`](Self::renew_on_read) | false |
/// | [`max_sessions`](Self::max_sessions) | no cap |
/// | [`grace`](Self::grace) | off |
/// | [`ids`](Self::ids) | [`HashedIds`] |
/// | [`id_factory`](Self::id_factory) | [`UuidV4`](crate::UuidV4); [`UuidV7`] with a cap, if ids hold their life |
/// | [`sealer`](Self::sealer) | none: data is stored readable |
/// | [`serializer`](Self::serializer) | JSON |
/// | [`clock`](Self::clock) | the system's |
/// | [`max_attempts`](Self::max_attempts) | 1000 |
#[derive(Debug)]
#[must_use]
pub struct SessionsBuilder {
    store: Arc<dyn SessionStore>,
    codec: Arc<dyn IdCodec>,
    factory: Option<Arc<dyn IdFactory>>,
    sealer: Option<Arc<dyn Sealer>>,
    serializer: Option<Arc<dyn Serializer>>,
    clock: Arc<dyn Clock>,
    expiry: Expiry,
    cap: Option<Cap>,
    grace: Option<Duration>,
    attempts: u32,
}

impl SessionsBuilder {
    /// The idle lifetime where none is configured: one hour, as in jamlib.
    pub const DEFAULT_TTL: Duration = Duration::from_hours(1);

    pub(super) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            codec: Arc::new(HashedIds),
            factory: None,
            sealer: None,
            serializer: None,
            clock: Arc::new(SystemClock),
            expiry: Expiry {
                ttl: Some(Self::DEFAULT_TTL),
                max_lifetime: None,
                renew_on_read: false,
            },
            cap: None,
            grace: None,
            attempts: 1000,
        }
    }

    /// The idle lifetime: a session ends this long after it was last written (or read, with
    /// [`renew_on_read`](Self::renew_on_read)). `None`: sessions do not end by idleness. At least a second.
    ///
    /// OWASP ASVS 5.0, 7.3.1 asks for an inactivity timeout.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.expiry.ttl = ttl.into();
        self
    }

    /// The absolute lifetime: a session ends this long after it was created or logged in, whatever reads, writes and
    /// reworks there were. `None`: no such end. At least a second.
    ///
    /// OWASP ASVS 5.0, 7.3.2 asks for an absolute maximum session lifetime.
    pub fn max_lifetime(mut self, max_lifetime: impl Into<Option<Duration>>) -> Self {
        self.expiry.max_lifetime = max_lifetime.into();
        self
    }

    /// Whether reading a session counts as using it. The store is written at most once per tenth of the ttl, in the
    /// same trip as the read.
    pub fn renew_on_read(mut self, renew: bool) -> Self {
        self.expiry.renew_on_read = renew;
        self
    }

    /// How many sessions one key may have, at least 1, and what happens to one more. For a moment there may be more;
    /// once concurrent creates have finished there are not.
    ///
    /// The oldest is judged by creation, to the second, and then by handle. That is why the default id factory makes
    /// UUIDs that sort by time once there is a cap. With ids that do not tell their creation
    /// ([`PlainIds`](crate::PlainIds)) the one that would expire first counts as the oldest. A newcomer never makes way
    /// for itself; two that are created by two processes at the same moment may each end the other. Where newcomers are
    /// refused, they may both be; and one whose create was dropped, or met a failing store, before it could step back stays
    /// beyond the cap until it ends.
    pub fn max_sessions(mut self, max: usize, when_full: WhenFull) -> Self {
        self.cap = Some(Cap { max, when_full });
        self
    }

    /// Turns [`rework_with_grace`](Sessions::rework_with_grace) on: for this long the old id still reaches the session,
    /// so that parallel requests of one page are not logged out. Every manager on the same store needs it. Between 1
    /// second and 5 minutes.
    pub fn grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.grace = grace.into();
        self
    }

    /// How ids look to clients and to the store.
    pub fn ids(mut self, codec: impl IdCodec) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// Where the unique, non-secret part of ids comes from.
    pub fn id_factory(mut self, factory: impl IdFactory) -> Self {
        self.factory = Some(Arc::new(factory));
        self
    }

    /// Seals the data on its way to the store.
    pub fn sealer(mut self, sealer: impl Sealer) -> Self {
        self.sealer = Some(Arc::new(sealer));
        self
    }

    /// How data becomes bytes.
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(Arc::new(serializer));
        self
    }

    /// Where the time comes from. Give an in-process store the same.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How often a compare-and-swap is tried before [`Conflict`](ErrorKind::Conflict) is given up to the caller; at
    /// least 1. Each failed try means that somebody else's succeeded, so the default is enough for hundreds of
    /// processes.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Checks the settings and builds the manager. Does no I/O.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a setting out of bounds, or one that the ids cannot carry.
    pub fn build(self) -> Result<Sessions> {
        self.check()?;
        Ok(self.finish())
    }

    /// Builds without a check; for settings that are known to be right.
    pub(super) fn finish(self) -> Sessions {
        // Without a life in the id there is no order of creation to serve, and `unique` is the secret: it must be v4.
        let ordered = self.cap.is_some() && self.codec.keeps_life();
        let default = ordered.then(|| Arc::new(UuidV7) as Arc<dyn IdFactory>);
        let factory = self.factory.or(default);
        Sessions {
            inner: Arc::new(Inner {
                #[cfg(feature = "metrics")]
                meters: crate::metrics::Meters::new(self.store.name()),
                store: self.store,
                codec: self.codec,
                factory,
                sealer: self.sealer,
                serializer: self.serializer,
                clock: self.clock,
                expiry: self.expiry,
                cap: self.cap,
                grace: self.grace,
                attempts: self.attempts,
                queue: Queue::default(),
                outage: Outage::default(),
            }),
        }
    }

    fn check(&self) -> Result<()> {
        const SECOND: Duration = Duration::from_secs(1);
        let wrong = |what: &'static str| Err(Error::new(ErrorKind::Config, what));
        if self.expiry.ttl.is_some_and(|ttl| ttl < SECOND) {
            return wrong("`ttl` must be at least one second, or none");
        }
        if self.expiry.max_lifetime.is_some_and(|lifetime| lifetime < SECOND) {
            return wrong("`max_lifetime` must be at least one second, or none");
        }
        if self
            .grace
            .is_some_and(|grace| !(SECOND..=Duration::from_mins(5)).contains(&grace))
        {
            return wrong("`grace` must be between 1 and 300 seconds, or none");
        }
        if self.cap.is_some_and(|cap| cap.max == 0) {
            return wrong("`max_sessions` must be at least 1");
        }
        if self.attempts == 0 {
            return wrong("`max_attempts` must be at least 1");
        }
        match &self.sealer {
            Some(sealer) if self.codec.keeps_life() => seals_notes(&**sealer)?,
            _ => {}
        }
        if !self.codec.keeps_life() {
            if self.expiry.max_lifetime.is_some() {
                return wrong("`max_lifetime` needs ids that hold their creation time; the jamlib layout has none");
            }
            if self.cap.is_some() && self.expiry.ttl.is_none() {
                return wrong("`max_sessions` needs a `ttl` with ids that do not hold their creation time");
            }
            if self.grace.is_some() {
                return wrong("`grace` needs ids that keep their handle; those of the jamlib layout do not");
            }
        }
        Ok(())
    }
}

/// Web layers leave notes at the ids they replace, and so does a grace. A sealer for data alone would fail at the first login.
fn seals_notes(sealer: &dyn Sealer) -> Result<()> {
    let (record, handle) = (RecordId::new(SessionKey::new("key")?, "id")?, Handle::new("handle")?);
    let life = Life::new(Timestamp::ZERO, None);
    let context = SealContext::new(SealDomain::GraceNote, &record, &handle, Some(life));
    sealer.seal(&context, b"a note").map(drop).map_err(|error| {
        let message = "this `sealer` cannot seal notes, which ids that keep their handle need; the one for jamlib goes with \
                       the ids for jamlib";
        Error::new(ErrorKind::Config, message).with_source(error)
    })
}
