//! One caller's hand on the store: every operation with arguments of its own, so that it can run as a task.

use std::future::Future;
use std::sync::Arc;

use crate::{Entry, Load, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored, Timestamp, Version};

/// A call under way that borrows nothing.
macro_rules! call {
    ($hand:expr, ($($arg:ident),*), |$store:ident| $call:expr) => {{
        let $store = Arc::clone(&$hand.store);
        $(let $arg = $arg.clone();)*
        async move { $call.await }
    }};
}

#[derive(Clone, Debug)]
pub(super) struct Hand {
    pub(super) store: Arc<dyn SessionStore>,
    /// How it looks at what another hand may have written.
    pub(super) look: Load,
}

impl Hand {
    pub(super) fn insert(&self, id: &RecordId, record: &Record) -> impl Future<Output = Result<()>> + Send + use<> {
        call!(self, (id, record), |store| store.insert(&id, &record))
    }

    pub(super) fn load(&self, id: &RecordId, how: Load) -> impl Future<Output = Result<Option<Stored>>> + Send + use<> {
        call!(self, (id), |store| store.load(&id, how))
    }

    /// Loads what another hand may have written.
    pub(super) fn look(&self, id: &RecordId) -> impl Future<Output = Result<Option<Stored>>> + Send + use<> {
        self.load(id, self.look)
    }

    pub(super) fn replace(
        &self,
        id: &RecordId,
        expected: Option<&Version>,
        record: &Record,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let expected = expected.cloned();
        call!(self, (id, record), |store| store.replace(
            &id,
            expected.as_ref(),
            &record
        ))
    }

    pub(super) fn touch(
        &self,
        id: &RecordId,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<bool>> + Send + use<> {
        call!(self, (id), |store| store.touch(&id, expires_at))
    }

    pub(super) fn rename(
        &self,
        from: &RecordId,
        expected: &Version,
        to: &RecordId,
        record: &Record,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        call!(self, (from, expected, to, record), |store| store.rename(Rename {
            from: &from,
            expected: &expected,
            to: &to,
            record: &record,
        }))
    }

    pub(super) fn remove(&self, id: &RecordId) -> impl Future<Output = Result<bool>> + Send + use<> {
        call!(self, (id), |store| store.remove(&id))
    }

    pub(super) fn list(&self, key: &SessionKey) -> impl Future<Output = Result<Vec<Entry>>> + Send + use<> {
        call!(self, (key), |store| store.list(&key))
    }

    pub(super) fn clear(&self, key: &SessionKey) -> impl Future<Output = Result<u64>> + Send + use<> {
        call!(self, (key), |store| store.clear(&key))
    }

    pub(super) fn remove_expired(&self, now: Timestamp) -> impl Future<Output = Result<u64>> + Send + use<> {
        call!(self, (), |store| store.remove_expired(now))
    }
}
