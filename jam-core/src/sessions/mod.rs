//! The manager: everything an application calls.

mod builder;
mod cap;
mod data;
mod devices;
mod expiry;
mod facts;
mod fields;
mod grace;
mod lifetime;
mod locate;
mod modify;
mod options;
mod outage;
mod outcome;
mod queue;
mod rotate;
mod session;
mod superseded;
mod sweep;
mod trace;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::builder::SessionsBuilder;
use self::cap::Cap;
pub use self::data::{Data, Serializer};
pub use self::devices::SessionInfo;
use self::expiry::Expiry;
#[cfg(feature = "metrics")]
pub(crate) use self::facts::Facts;
use self::locate::Located;
pub use self::options::{SessionOptions, WhenFull};
use self::outage::Outage;
#[cfg(feature = "metrics")]
pub(crate) use self::outcome::Outcome;
use self::queue::Queue;
use self::session::Loaded;
pub use self::session::Session;
use crate::{
    Bytes, Clock, Error, ErrorKind, IdCodec, IdFactory, InnerId, Life, Load, Record, RecordId, Result, Sealer,
    SessionId, SessionKey, SessionStore, Timestamp,
};

/// The session manager: what an application calls. Owns ids, expiry, encryption, typing and concurrency; the
/// [store](SessionStore) only keeps bytes. Cloning is cheap and gives the same manager.
///
/// An id that does not resolve is simply not a session: [`get`](Self::get) gives `None`, [`delete`](Self::delete) and
/// [`touch`](Self::touch) give `false`, writes give [`NotFound`](ErrorKind::NotFound), and the store is not asked. A
/// store that cannot be reached is always an error ([`Unavailable`](ErrorKind::Unavailable)), never an absent session.
///
/// Every future may be dropped at any await point: no session is left half-written and nothing stays locked. An
/// operation of several steps may then have taken the first of them alone: a session created over the cap that nobody
/// trimmed yet (the next create does, unless the cap [refuses](WhenFull::Refuse)), a note of a rotation that did not come
/// (it leads nowhere and expires), some of many revoked.
///
/// What is neither dropped nor polled any more keeps its turn: those inside this process who [`modify`](Self::modify) or rework the
/// same session, or create sessions of the same key under a cap, wait for it. So drive a future that you keep (in a `select!`
/// whose arms call the manager again, a `buffered` stream), or drop it.
///
/// ```
/// use jam_core::{MemoryStore, Sessions};
/// use serde_json::json;
///
/// # futures_lite::future::block_on(async {
/// let sessions = Sessions::new(MemoryStore::new());
///
/// let id = sessions.create("user1", json!({"role": "admin"})).await?;
/// let session = sessions.get(&id).await?.expect("just created");
/// assert_eq!(session.get::<String>("role")?.as_deref(), Some("admin"));
///
/// sessions.update(&id, json!({"role": "banned"})).await?;
/// let new_id = sessions.rework(&id).await?;
/// assert!(sessions.get(&id).await?.is_none());
///
/// sessions.delete(&new_id).await?;
/// sessions.clear("user1").await?;
/// # Ok::<(), jam_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn SessionStore>,
    codec: Arc<dyn IdCodec>,
    /// Without one, handles are version 4 UUIDs.
    factory: Option<Arc<dyn IdFactory>>,
    sealer: Option<Arc<dyn Sealer>>,
    serializer: Option<Arc<dyn Serializer>>,
    clock: Arc<dyn Clock>,
    expiry: Expiry,
    cap: Option<Cap>,
    grace: Option<Duration>,
    attempts: u32,
    queue: Queue,
    outage: Outage,
    #[cfg(feature = "metrics")]
    meters: crate::metrics::Meters,
}

impl Inner {
    /// The store itself: a call through its `Arc` would be a future around the store's own.
    fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    /// The rounds of a call that looks once more after the last race it lost, or first has to find where a rotation with grace has
    /// moved the session.
    fn rounds(&self) -> RangeInclusive<u32> {
        0..=self.attempts
    }
}

impl Sessions {
    /// A manager with the default settings, see [`SessionsBuilder`].
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).finish()
    }

    /// A manager with settings of your own.
    pub fn builder(store: impl SessionStore) -> SessionsBuilder {
        Self::builder_on(Arc::new(store))
    }

    /// The same on a store that is shared already, such as one a [`Registry`](crate::Registry) opened.
    pub fn builder_on(store: Arc<dyn SessionStore>) -> SessionsBuilder {
        SessionsBuilder::new(store)
    }

    /// The store underneath, for migration and tools.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.inner.store
    }

    /// Creates a session for this key and gives the id for the client.
    ///
    /// `data` is anything that serializes to a JSON object; `{}` is data like any other. JSON has no `NaN` and no infinities: a
    /// field with one of these becomes `null`, as `serde_json` writes it.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput): the key has not 1 to 512 bytes, or the data is no JSON object.
    /// - [`LimitReached`](ErrorKind::LimitReached): the key is full and newcomers are refused.
    /// - [`Unavailable`](ErrorKind::Unavailable): the store cannot take it.
    pub async fn create(&self, key: impl AsRef<str>, data: impl Serialize) -> Result<SessionId> {
        self.create_with(key, data, SessionOptions::new()).await
    }

    /// Creates a session with options of its own, such as a longer ttl.
    ///
    /// # Errors
    /// As [`create`](Self::create); [`Config`](ErrorKind::Config) for a ttl where the ids cannot carry one, and
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a ttl below one second.
    pub async fn create_with(
        &self,
        key: impl AsRef<str>,
        data: impl Serialize,
        options: SessionOptions,
    ) -> Result<SessionId> {
        self.run("create", async {
            let payload = data::to_payload(self.inner.serializer.as_deref(), &data)?;
            let now = self.inner.clock.now();
            let life = self.new_life(options, now)?;
            let (id, record_id, record) = self.issue(&self.new_id(SessionKey::new(key)?, life)?, payload, now)?;
            self.insert(&record_id, &record).await?;
            Ok(id)
        })
        .await
    }

    /// Creates a session for somebody nobody knows yet: its key is `prefix` and a text that no other key has. Where ids
    /// tell a session's [handle](Session::handle), and no [id factory](IdFactory) makes it, that text is the handle.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_visitor(&self, prefix: &str, data: impl Serialize) -> Result<SessionId> {
        self.run("create", async {
            let payload = data::to_payload(self.inner.serializer.as_deref(), &data)?;
            let now = self.inner.clock.now();
            let life = self.new_life(SessionOptions::new(), now)?;
            let (id, record_id, record) = self.issue(&self.new_visitor_id(prefix, life)?, payload, now)?;
            self.insert(&record_id, &record).await?;
            Ok(id)
        })
        .await
    }

    /// A new session: its id for the client, and what the store is to keep where.
    fn issue(&self, inner_id: &InnerId, payload: Vec<u8>, now: Timestamp) -> Result<(SessionId, RecordId, Record)> {
        let (id, record_id) = self.inner.issue(inner_id)?;
        if self.inner.sealer.is_none() && self.inner.codec.keeps_life() {
            // The record's id says of the life what was just written into it.
            let ends = self.inner.expiry.expires_at(Some(&inner_id.life), now);
            return Ok((id, record_id, Record::new(payload, ends)));
        }
        let at = self.located(record_id);
        let payload = self.inner.seal(&at, payload.into())?;
        let record = Record::new(payload, self.inner.expiry.expires_at(at.life(), now));
        Ok((id, at.record, record))
    }

    /// Loads a session; `None` if there is none (any more) under this id.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable); [`Crypto`](ErrorKind::Crypto) if its data does not open.
    pub async fn get(&self, id: impl AsRef<str>) -> Result<Option<Session>> {
        self.read(id.as_ref(), false).await
    }

    /// The same, past any cache: the answer is what the store itself has, and a session that another process has just ended is
    /// not there. For what is worth a trip to the store, such as to change a password, to pay, or to keep a connection open.
    /// Where there is no cache it is [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_fresh(&self, id: impl AsRef<str>) -> Result<Option<Session>> {
        self.read(id.as_ref(), true).await
    }

    fn read<'a>(&'a self, id: &'a str, fresh: bool) -> impl Future<Output = Result<Option<Session>>> + 'a {
        self.run_found("get", async move {
            let Some(at) = self.locate(id)? else {
                return Ok(None);
            };
            let how = Load {
                fresh,
                ..self.as_a_reader(&at)
            };
            let (at, stored, through_grace) = match self.inner.store().load(&at.record, how).await? {
                Some(stored) => (at, stored, false),
                None => match self.successor(&at, how).await? {
                    Some((at, stored)) => (at, stored, true),
                    None => return Ok(None),
                },
            };
            Ok(Some(Session(Box::new(Loaded {
                payload: self.inner.open(&at, &stored.payload)?,
                inner: Arc::clone(&self.inner),
                through_grace,
                cached: stored.cached,
                at,
                version: stored.version,
                fields: OnceLock::new(),
                data: OnceLock::new(),
                changed: false,
            }))))
        })
    }

    /// Loads a session's data as a type of your own.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`Corrupt`](ErrorKind::Corrupt) and [`InvalidInput`](ErrorKind::InvalidInput) as
    /// [`Session::data_as`].
    pub async fn get_as<T: DeserializeOwned>(&self, id: impl AsRef<str>) -> Result<Option<T>> {
        self.get(id).await?.map(|session| session.data_as()).transpose()
    }

    /// Whether there is a session under this id. Renews like [`get`](Self::get).
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn exists(&self, id: impl AsRef<str>) -> Result<bool> {
        self.run_told("exists", async {
            let Some(at) = self.locate(id.as_ref())? else {
                return Ok(false);
            };
            let how = self.as_a_reader(&at);
            Ok(self.inner.store().load(&at.record, how).await?.is_some() || self.successor(&at, how).await?.is_some())
        })
        .await
    }

    /// Replaces a session's data, whatever it was, and counts its ttl anew. One trip to the store.
    ///
    /// Of two that update at once the last wins; [`modify`](Self::modify) and [`commit`](Self::commit) lose nothing.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such session (nothing is created);
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the data is no JSON object;
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn update(&self, id: impl AsRef<str>, data: impl Serialize) -> Result<()> {
        self.run("update", async {
            let payload = data::to_payload(self.inner.serializer.as_deref(), &data)?;
            let mut at = self.locate(id.as_ref())?.ok_or(ErrorKind::NotFound)?;
            let payload = Bytes::from(payload);
            for _ in self.inner.rounds() {
                let record = self.record(&at, payload.clone())?;
                match self.inner.store().replace(&at.record, None, &record).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        match self.successor(&at, Load::new().fresh()).await? {
                            Some((next, _)) => at = next,
                            None => return Err(error),
                        }
                    }
                    result => return result,
                }
            }
            Err(self.gave_up())
        })
        .await
    }

    /// Counts a session's ttl anew without reading or writing its data; `false` if there is none.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn touch(&self, id: impl AsRef<str>) -> Result<bool> {
        self.run_told("touch", async {
            let Some(mut at) = self.locate(id.as_ref())? else {
                return Ok(false);
            };
            for _ in self.inner.rounds() {
                let alive = if let Some(expires_at) = self.expires_at(&at) {
                    self.inner.store().touch(&at.record, expires_at).await?
                } else {
                    facts::note(|facts| facts.wrote_nothing = true);
                    let found = self.inner.store().load(&at.record, Load::new().fresh()).await?;
                    found.is_some()
                };
                if alive {
                    return Ok(true);
                }
                match self.successor(&at, Load::new().fresh()).await? {
                    Some((next, _)) => at = next,
                    None => return Ok(false),
                }
            }
            Err(self.gave_up())
        })
        .await
    }

    /// Ends a session and tells whether there was one. A save that is still under way cannot bring it back.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn delete(&self, id: impl AsRef<str>) -> Result<bool> {
        self.run_told("delete", async {
            // An id past its absolute lifetime is no session, but its record may as well go now.
            let Some(mut at) = self.resolve(id.as_ref())? else {
                return Ok(false);
            };
            for _ in self.inner.rounds() {
                if self.inner.store().remove(&at.record).await? {
                    return Ok(!self.is_over(&at));
                }
                match self.successor(&at, Load::new().fresh()).await? {
                    Some((next, _)) => at = next,
                    None => return Ok(false),
                }
            }
            Err(self.gave_up())
        })
        .await
    }

    /// Ends every session of this key in one step and tells how many there were.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a key that has not 1 to 512 bytes;
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn clear(&self, key: impl AsRef<str>) -> Result<u64> {
        self.run("clear", async {
            self.inner.store().clear(&SessionKey::new(key)?).await
        })
        .await
    }

    /// Finishes what is under way and lets go of files and connections; afterwards every call gives
    /// [`Unavailable`](ErrorKind::Unavailable). Optional: nothing acknowledged depends on it.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the store could not bring its files into their resting form.
    pub async fn close(&self) -> Result<()> {
        self.run("close", self.inner.store().close()).await
    }

    fn new_life(&self, options: SessionOptions, now: Timestamp) -> Result<Life> {
        if options.ttl.is_some() && !self.inner.codec.keeps_life() {
            let message = "a ttl of a session's own needs ids that can carry it; those of the jamlib layout cannot";
            return Err(Error::new(ErrorKind::Config, message));
        }
        if options.ttl.is_some_and(|ttl| ttl < Duration::from_secs(1)) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a session's own ttl must be at least one second",
            ));
        }
        Ok(Life::new(now, options.ttl))
    }

    fn record(&self, at: &Located, payload: Bytes) -> Result<Record> {
        Ok(Record {
            payload: self.inner.seal(at, payload)?,
            expires_at: self.expires_at(at),
        })
    }

    /// The error of a compare-and-swap that lost too often.
    fn gave_up(&self) -> Error {
        Error::new(
            ErrorKind::Conflict,
            format!(
                "gave up after {} attempts: the session was changed by others each time",
                self.inner.attempts
            ),
        )
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &self.inner.store.name())
            .field("ids", &self.inner.codec)
            .field("sealed", &self.inner.sealer.is_some())
            .field("expiry", &self.inner.expiry)
            .field("cap", &self.inner.cap)
            .field("grace", &self.inner.grace)
            .finish_non_exhaustive()
    }
}
