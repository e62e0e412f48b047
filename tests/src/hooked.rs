//! A store with hooks: something to happen just before a call reaches the store underneath, or instead of it, or after it.

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
    before: Hook,
    after: Option<Hook>,
}

impl Hooked {
    /// Puts a hook before a store.
    pub fn new<F>(store: Arc<dyn SessionStore>, hook: impl Fn(&'static str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            store,
            before: Box::new(move |method| Box::pin(hook(method))),
            after: None,
        }
    }

    /// Puts another hook behind the store: if that fails, its error is the outcome of what the store has done.
    #[must_use]
    pub fn after<F>(mut self, hook: impl Fn(&'static str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.after = Some(Box::new(move |method| Box::pin(hook(method))));
        self
    }

    async fn call<T>(&self, method: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        (self.before)(method).await?;
        let outcome = call.await;
        if let Some(after) = &self.after {
            after(method).await?;
        }
        outcome
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
        self.call("insert", self.store.insert(id, record)).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        self.call("load", self.store.load(id, how)).await
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.call("replace", self.store.replace(id, expected, record)).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.call("touch", self.store.touch(id, expires_at)).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.call("rename", self.store.rename(rename)).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.call("remove", self.store.remove(id)).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.call("list", self.store.list(key)).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.call("clear", self.store.clear(key)).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.call("remove_expired", self.store.remove_expired(now)).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.call("scan", self.store.scan(cursor, limit)).await
    }

    async fn close(&self) -> Result<()> {
        self.call("close", self.store.close()).await
    }
}
