//! A cache around any store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::NearCache;
use crate::{
    Clock, Cursor, Entry, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored, SystemClock,
    Timestamp, Version,
};

/// Keeps what was read from a store near for a while, so that reading it again costs no call of the store.
///
/// What *this* store writes it shows at once. What others write, another process or another handle on the same store, shows
/// after `max_staleness` at the latest: for so long a session that was ended elsewhere may still be served here. So the bound
/// is part of what a logout means, and there is no default; a second or less is what most services can promise their users.
/// Changing data is safe whatever the bound: compare-and-swap and everything that decides goes to the store.
///
/// ```
/// use std::time::Duration;
/// use jam_core::cache::CachingStore;
/// use jam_core::{MemoryStore, Sessions};
///
/// let store = CachingStore::new(MemoryStore::new(), Duration::from_millis(500), 10_000);
/// let sessions = Sessions::new(store);
/// ```
pub struct CachingStore<S> {
    store: S,
    near: NearCache,
    max_staleness: Duration,
}

impl<S: SessionStore> CachingStore<S> {
    /// Keeps records of this store for at most `max_staleness`, counted from when a read was sent, and at most about `capacity`
    /// of them; one whose payload is larger than 1 KiB counts once more for each KiB, and one of more than 240 KiB may not be
    /// kept at all ([`NearCache::new`]). A bound of zero keeps nothing.
    pub fn new(store: S, max_staleness: Duration, capacity: u64) -> Self {
        Self::with_clock(store, max_staleness, capacity, Arc::new(SystemClock))
    }

    /// The same by another clock. Give it the one that the store judges by, if that is not the system's.
    pub fn with_clock(store: S, max_staleness: Duration, capacity: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            near: NearCache::with_clock(capacity, clock),
            max_staleness,
        }
    }

    /// The store underneath.
    pub const fn get_ref(&self) -> &S {
        &self.store
    }

    async fn fill(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let ticket = self.near.ticket(id.key());
        let loaded = self.store.load(id, how.with_expiry()).await?;
        match &loaded {
            // How old that is already, nobody knows here.
            Some(stored) if stored.cached => {}
            Some(stored) => self.near.keep(id, ticket, stored, self.max_staleness, None),
            None => self.near.compare(id, None),
        }
        Ok(loaded)
    }
}

#[async_trait]
impl<S: SessionStore> SessionStore for CachingStore<S> {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        let _writing = self.near.writing(id.key());
        self.store.insert(id, record).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        if how.fresh {
            let loaded = self.store.load(id, how).await?;
            self.near.compare(id, loaded.as_ref().map(|stored| &stored.version));
            return Ok(loaded);
        }
        let due = |stored: &Stored| how.renew.is_some_and(|renewal| renewal.is_due(stored.ends.at()));
        match self.near.get(id) {
            Some(stored) if !due(&stored) => Ok(Some(stored)),
            _ => self.fill(id, how).await,
        }
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        let _writing = self.near.writing(id.key());
        self.store.replace(id, expected, record).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let _writing = self.near.writing(id.key());
        self.store.touch(id, expires_at).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let _from = self.near.writing(rename.from.key());
        let _to = self.near.writing(rename.to.key());
        self.store.rename(rename).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        let _writing = self.near.writing(id.key());
        self.store.remove(id).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.store.list(key).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        let _writing = self.near.writing(key);
        self.store.clear(key).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.store.remove_expired(now).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.store.scan(cursor, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.near.forget_all();
        let closed = self.store.close().await;
        // Once more, for reads that were sent before it was closed.
        self.near.forget_all();
        closed
    }
}

impl<S: SessionStore> fmt::Debug for CachingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingStore")
            .field("store", &self.store)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}
