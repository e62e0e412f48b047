//! A store with a hook: something to happen just before a call reaches the store underneath, or instead of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use jam::{
    Cursor, Entry, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored, Timestamp, Version,
};

type Hook = Box<dyn Fn(&'static str) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A store whose hook runs before every call, with the name of the method. If the hook fails, its error is the outcome
/// and the store underneath is not asked.
pub struct Hooked {
    store: Arc<dyn SessionStore>,
    hook: Hook,
}

impl Hooked {
    /// Puts a hook before a store.
    pub fn new<F>(store: Arc<dyn SessionStore>, hook: impl Fn(&'static str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            store,
            hook: Box::new(move |method| Box::pin(hook(method))),
        }
    }

    async fn reach(&self, method: &'static str) -> Result<&dyn SessionStore> {
        (self.hook)(method).await?;
        Ok(&*self.store)
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for Hooked {
    fn name(&self) -> &'static str {
        "hooked"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.reach("insert").await?.insert(id, record).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        self.reach("load").await?.load(id, how).await
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.reach("replace").await?.replace(id, expected, record).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.reach("touch").await?.touch(id, expires_at).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.reach("rename").await?.rename(rename).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.reach("remove").await?.remove(id).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.reach("list").await?.list(key).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.reach("clear").await?.clear(key).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.reach("remove_expired").await?.remove_expired(now).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.reach("scan").await?.scan(cursor, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.reach("close").await?.close().await
    }
}
