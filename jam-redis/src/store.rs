//! `RedisStore`: the contract, on Redis.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use jam_core::{
    Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored,
    Timestamp, Version,
};
use redis::Value;

use crate::call::Ask;
use crate::connect::{Answer, Generation, Link, Replicas};
use crate::error;
use crate::near::Near;
use crate::{Layout, RedisOptions};

/// Sessions in Redis or Valkey. See the [crate documentation](crate) for what it promises.
///
/// Cloning the store is wrapping it in an [`Arc`]; one store serves any number of tasks over one connection.
/// That lives on the tokio runtime it was opened on: once the runtime has ended, the calls under way and the next one fail
/// with [`Unavailable`](ErrorKind::Unavailable), and the store connects again on the runtime of the one after.
pub struct RedisStore {
    link: Link,
    path: String,
    layout: Layout,
    replicas: Option<Replicas>,
    near: Option<Arc<Near>>,
    closed: AtomicBool,
}

impl RedisStore {
    /// Opens the store at a URL with the default settings, see [`RedisOptions`].
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a URL that is none, or credentials that the server does not take;
    /// [`Unavailable`](ErrorKind::Unavailable) if no server answers within the connect timeout.
    pub async fn open(url: impl AsRef<str>) -> Result<Self> {
        RedisOptions::new(url).open().await
    }

    /// More settings, before opening.
    pub fn options(url: impl AsRef<str>) -> RedisOptions {
        RedisOptions::new(url)
    }

    /// Opens the store with a client that the application has configured itself.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_client(client: redis::Client) -> Result<Self> {
        RedisOptions::from_client(client).open().await
    }

    /// Opens the store on a connection that the application has already, to one server:
    /// [`MultiplexedConnection`](redis::aio::MultiplexedConnection), `ConnectionManager` or another that can be cloned.
    /// Timeouts and reconnecting are its own. It must not send commands a second time after a lost connection, as the
    /// driver's cluster connection does: for a cluster, [open it by URL](RedisOptions::new).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_connection<C>(connection: C) -> Result<Self>
    where
        C: redis::aio::ConnectionLike + Clone + Send + Sync + 'static,
    {
        RedisOptions::from_connection(connection).open().await
    }

    pub(crate) fn new(
        link: Link,
        path: String,
        layout: Layout,
        replicas: Option<Replicas>,
        near: Option<Arc<Near>>,
    ) -> Self {
        Self {
            link,
            path,
            layout,
            replicas,
            near,
            closed: AtomicBool::new(false),
        }
    }

    #[cfg(feature = "near-cache")]
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether there is a near cache.
    pub(crate) const fn is_near(&self) -> bool {
        self.near.is_some()
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// How many replicas are to confirm the end of a session.
    pub(crate) fn wanted_replicas(&self) -> u32 {
        self.replicas.map_or(0, |replicas| replicas.count)
    }

    /// What the hash of a session key is called.
    pub(crate) fn hash(&self, key: &SessionKey) -> String {
        [self.path.as_str(), ":", key.as_str()].concat()
    }

    /// What the name of every hash begins with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}:", self.path)
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error::closed());
        }
        Ok(())
    }

    /// Whether the server lets hash fields expire. If it does not, jam does.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if no server answers.
    pub async fn has_field_expiry(&self) -> Result<bool> {
        self.check_open()?;
        Ok(self.link.generation(self.prefix().as_bytes()).await? != Generation::Emulated)
    }

    /// Makes one call on a hash, and notes what it shows about the hash.
    pub(crate) async fn ask(&self, hash: &str, ask: &Ask<'_>) -> Result<Answer> {
        let replicas = match ask {
            Ask::Remove { .. } | Ask::Clear | Ask::Rename { .. } => self.replicas,
            _ => None,
        };
        self.ask_on(hash, ask, replicas).await
    }

    async fn ask_on(&self, hash: &str, ask: &Ask<'_>, replicas: Option<Replicas>) -> Result<Answer> {
        self.check_open()?;
        let hash = hash.as_bytes();
        self.link
            .run(hash, ask.writes(), replicas, |live| ask.call(hash, self.layout, live))
            .await
    }

    /// A call that answers with a number.
    async fn decide(&self, hash: &str, ask: &Ask<'_>) -> Result<i64> {
        let answer = self.ask(hash, ask).await?;
        Self::decided(hash, ask, answer)
    }

    fn decided(hash: &str, ask: &Ask<'_>, mut answer: Answer) -> Result<i64> {
        match ask {
            Ask::Rename { to_hash, .. } => answer.note(&[hash.as_bytes(), to_hash]),
            _ => answer.note(&[hash.as_bytes()]),
        }
        match answer.value {
            Value::Int(number) => Ok(number),
            // What HGETDEL took: one value, or none.
            Value::Array(taken) if matches!(taken[..], [Value::BulkString(_)]) => Ok(1),
            Value::Array(taken) if matches!(taken[..], [Value::Nil]) => Ok(0),
            _ => Err(error::unexpected(
                "the Redis server answered a count with something else",
            )),
        }
    }

    /// Between two hashes that lie on different nodes: the new record first, then the old one goes if it is still what
    /// it was.
    async fn rename_across(&self, rename: Rename<'_>, expected: &[u8]) -> Result<()> {
        let to_hash = self.hash(rename.to.key());
        let insert = Ask::Insert {
            id: rename.to.id(),
            record: rename.record,
        };
        // On replicas too: it is all that will be left of the session.
        let answer = self.ask_on(&to_hash, &insert, self.replicas).await?;
        if Self::decided(&to_hash, &insert, answer)? == 0 {
            return Err(already_exists());
        }
        let remove = Ask::Remove {
            id: rename.from.id(),
            expected: Some(expected),
        };
        let removed = self.decide(&self.hash(rename.from.key()), &remove).await;
        let error = match removed {
            Ok(1) => return Ok(()),
            Ok(0) => not_found(),
            Ok(_) => conflict(),
            // The old record may be gone: then the new one must not go too.
            Err(error) if error.outcome_unknown() => return Err(error),
            Err(error) => error,
        };
        match self.remove(rename.to).await {
            Ok(_) => Err(error),
            // It could not be taken back, so not everything is as it was.
            Err(error) => Err(error.with_outcome_unknown()),
        }
    }
}

/// The payload a version stands for.
fn expected(version: &Version) -> Result<&Bytes> {
    version.as_content().ok_or_else(conflict)
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such session")
}

fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "the session was changed meanwhile")
}

fn already_exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "there is a session of that id already")
}

#[async_trait]
impl SessionStore for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        let _writing = self.near.as_ref().map(|near| near.writing(id.key()));
        let ask = Ask::Insert { id: id.id(), record };
        match self.decide(&self.hash(id.key()), &ask).await? {
            0 => Err(already_exists()),
            _ => Ok(()),
        }
    }

    /// Without the macro, so that a hit of the near cache makes a future of its own size and not of a read's.
    fn load<'life0, 'life1, 'async_trait>(
        &'life0 self,
        id: &'life1 RecordId,
        how: Load,
    ) -> BoxFuture<'async_trait, Result<Option<Stored>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        match &self.near {
            Some(near) => Box::pin(near.load(self, id, how)),
            None => Box::pin(self.read(id, how)),
        }
    }

    async fn replace(&self, id: &RecordId, version: Option<&Version>, record: &Record) -> Result<()> {
        let _writing = self.near.as_ref().map(|near| near.writing(id.key()));
        let ask = Ask::Replace {
            id: id.id(),
            expected: version.map(expected).transpose()?.map(AsRef::as_ref),
            record,
        };
        match self.decide(&self.hash(id.key()), &ask).await? {
            1 => Ok(()),
            0 => Err(not_found()),
            _ => Err(conflict()),
        }
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let _writing = self.near.as_ref().map(|near| near.writing(id.key()));
        let ask = Ask::Touch {
            id: id.id(),
            to: expires_at,
        };
        Ok(self.decide(&self.hash(id.key()), &ask).await? == 1)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let near = self.near.as_ref();
        let _from = near.map(|near| near.writing(rename.from.key()));
        let _to = near.map(|near| near.writing(rename.to.key()));
        let expected = expected(rename.expected)?;
        let hash = self.hash(rename.from.key());
        let to_hash = self.hash(rename.to.key());
        if self.link.parts(hash.as_bytes(), to_hash.as_bytes()) {
            return self.rename_across(rename, expected).await;
        }
        let ask = Ask::Rename {
            from: rename.from.id(),
            expected,
            to_hash: to_hash.as_bytes(),
            to: rename.to.id(),
            record: rename.record,
        };
        match self.decide(&hash, &ask).await? {
            1 => Ok(()),
            0 => Err(not_found()),
            -1 => Err(conflict()),
            _ => Err(already_exists()),
        }
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        let _writing = self.near.as_ref().map(|near| near.writing(id.key()));
        let ask = Ask::Remove {
            id: id.id(),
            expected: None,
        };
        Ok(self.decide(&self.hash(id.key()), &ask).await? == 1)
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.entries(key, &self.hash(key)).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        let _writing = self.near.as_ref().map(|near| near.writing(key));
        let count = self.decide(&self.hash(key), &Ask::Clear).await?;
        Ok(count.try_into().unwrap_or_default())
    }

    async fn remove_expired(&self, _now: Timestamp) -> Result<u64> {
        self.check_open()?;
        self.sweep().await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.check_open()?;
        self.page(cursor, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.link.close();
        if let Some(near) = &self.near {
            near.forget_all();
        }
        Ok(())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}
