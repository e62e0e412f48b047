//! A store whose calls are counted, and whose reads can be held up.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use jam_core::{
    Cursor, Ends, Entry, Load, MemoryStore, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored,
    Timestamp, Version,
};
use tokio::sync::{RwLock, Semaphore};

#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: MemoryStore,
    loads: AtomicUsize,
    /// Says of every record that so much is left of it, by the clock of a server.
    pub(crate) left: RwLock<Option<std::time::Duration>>,
    /// Reads have been made, and wait here on their way back.
    held: RwLock<bool>,
    on_the_way: Semaphore,
    way: Semaphore,
}

impl Watched {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            loads: AtomicUsize::new(0),
            left: RwLock::default(),
            held: RwLock::default(),
            on_the_way: Semaphore::new(0),
            way: Semaphore::new(0),
        }
    }

    /// How many reads there have been since this was asked last.
    pub(crate) fn loads(&self) -> usize {
        self.loads.swap(0, SeqCst)
    }

    /// Holds up what the reads from now on have read.
    pub(crate) async fn hold(&self) {
        *self.held.write().await = true;
    }

    /// Waits until so many reads are on their way back.
    pub(crate) async fn wait_for_reads(&self, count: u32) {
        self.on_the_way.acquire_many(count).await.unwrap().forget();
    }

    /// Lets reads come back, and holds up no more.
    pub(crate) async fn let_go(&self) {
        *self.held.write().await = false;
        self.way.add_permits(1_000);
    }
}

#[async_trait]
impl SessionStore for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.inner.insert(id, record).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        self.loads.fetch_add(1, SeqCst);
        let mut loaded = self.inner.load(id, how).await?;
        if *self.held.read().await {
            self.on_the_way.add_permits(1);
            self.way.acquire().await.unwrap().forget();
        }
        if let (Some(stored), Some(left)) = (&mut loaded, *self.left.read().await) {
            let at = stored.ends.at().unwrap();
            *stored = Stored::new(stored.payload.clone(), stored.version.clone());
            if how.expiry {
                stored.ends = Ends::OnServer { at, left };
            }
        }
        Ok(loaded)
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        tokio::task::yield_now().await;
        self.inner.replace(id, expected, record).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.inner.touch(id, expires_at).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.inner.rename(rename).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.inner.remove(id).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.inner.list(key).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.inner.clear(key).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.inner.remove_expired(now).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.inner.scan(cursor, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
