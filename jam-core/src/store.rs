//! The contract with storage backends.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Cursor, Entry, Load, Page, Record, RecordId, Rename, Result, SessionKey, Stored, Timestamp, Version};

/// A storage backend.
///
/// An application never calls these methods; it calls [`Sessions`](crate::Sessions), which owns ids, crypto, expiry,
/// typing and retries. A backend knows nothing of them: it keeps opaque records under opaque ids and keeps the promises
/// below. The suite in `jam_core::conformance` (feature `conformance`) checks every one of them; run it against yours.
///
/// # What every store promises
///
/// 1. **Every write is one atomic step inside the store**, never a read by the client and then a write. What is gone
///    stays gone: [`replace`](Self::replace), [`touch`](Self::touch) and [`rename`](Self::rename) of a record that was
///    removed, cleared, renamed or has expired leave nothing behind.
/// 2. **Compare-and-swap is not optional**, see [`replace`](Self::replace). [`touch`](Self::touch) and renewals never
///    change a version and never shorten a life.
/// 3. **[`rename`](Self::rename) is one step**: afterwards the old id does not resolve and the new one does; never
///    both, never neither.
/// 4. **Payloads come back byte for byte**, whatever bytes they are. A payload that is a UTF-8 JSON object is kept
///    readable where the medium allows (raw JSON in a document, TEXT in SQL), still byte for byte.
/// 5. **An expired record is never returned**, counted or written to. A record has expired when `expires_at <= now`: by
///    the [`Clock`](crate::Clock) the store was given if it lives in the process, by the server's clock otherwise. An
///    expiry is kept to the millisecond, up to [`Timestamp::MAX`].
/// 6. **An acknowledged write is durable** to the level the store documents. A failure is an error, with nothing
///    half-written: [`Unavailable`](crate::ErrorKind::Unavailable) for a lost connection, a full disk, a read-only
///    replica. A write that may have reached its target is never sent again; its error says
///    [`outcome_unknown()`](crate::Error::outcome_unknown).
/// 7. **A store generates no ids and keeps no policy.**
/// 8. **Dropping a future is safe at every await point**: the call has happened as a whole or not at all (or still
///    will, as a whole), no lock stays behind, and no other call sees its reply.
///
/// Session keys and ids are hostile: they may hold `/`, `..`, NUL, newlines, any Unicode. Two that differ in any byte
/// are two records. Errors and `Debug` never show ids, payloads or passwords.
///
/// New powers come as new methods without a default, or as new traits, so that a wrapper cannot lose one unnoticed.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// The short name of this kind of store for logs and metrics, such as `"redis"`.
    fn name(&self) -> &'static str;

    /// Keeps a new record.
    ///
    /// A record that is already expired (`expires_at <= now`) may be accepted; it is never returned.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a live record has that id; it is left as it was. An
    /// expired one does not count.
    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()>;

    /// Gives the record, if there is a live one.
    ///
    /// With [a renewal](Load::renew), and if it [is due](crate::Renewal::is_due), the same step moves the expiry, in
    /// one trip to the store and without a write when it is not due. A renewal leaves the version as it is.
    ///
    /// A read [with its expiry](Load::with_expiry) also says [when the record ends](Stored::ends), in the same trip and as it
    /// is after the renewal; never [`Unknown`](crate::Ends::Unknown). Any other read need not know.
    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>>;

    /// Replaces payload and expiry of a live record; the new expiry counts even if it is earlier.
    ///
    /// With `expected`, only if the record still has that version. Without, whatever is there is replaced, if something
    /// is.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no live record; nothing is left behind.
    /// - [`Conflict`](crate::ErrorKind::Conflict) if its version is another one; it is left as it was.
    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()>;

    /// Moves the expiry of a live record to `expires_at` unless it lies later already, and tells whether there is a
    /// live record. A record without expiry keeps having none. The version stays.
    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool>;

    /// Moves a live record to a new id, with new payload and expiry, in one step.
    ///
    /// Between two ids of one session key this is atomic in every store. Between two session keys, a store that cannot
    /// do it in one step inserts the new record first and then removes the old one on condition of its version; if that
    /// condition fails it removes the new record and returns the error. A crash between may leave an unreachable record
    /// until its expiry, and such a store's docs say so.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if `from` has no live record.
    /// - [`Conflict`](crate::ErrorKind::Conflict) if its version is not `expected`.
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if `to` has a live record, also when `to` equals `from`.
    ///
    /// After an error everything is as it was.
    async fn rename(&self, rename: Rename<'_>) -> Result<()>;

    /// Removes a record and tells whether a live one was there.
    async fn remove(&self, id: &RecordId) -> Result<bool>;

    /// Gives every live record of this key, in any order. Versions are those that [`load`](Self::load) gives.
    ///
    /// A record that is renamed within its key during the listing is given under its old id, its new id, or both, but
    /// never missed; one that is there throughout is given exactly once.
    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>>;

    /// Removes every record of this key in one step (a reader that misses one of them misses all), and tells how many
    /// live ones there were, not counting [reserved](RecordId::is_reserved) ones.
    async fn clear(&self, key: &SessionKey) -> Result<u64>;

    /// Reclaims the space of records that have expired by `now`, and tells how many it removed. A record whose life was
    /// prolonged meanwhile is kept. A server that reclaims by itself has nothing to do and says 0.
    async fn remove_expired(&self, now: Timestamp) -> Result<u64>;

    /// Gives about `limit` (at least 1) live records from `cursor` on, of every key; for migration and tools.
    ///
    /// Following [`Page::next`] to the end gives every record that was there throughout at least once, whatever is
    /// written meanwhile. One that came, went or moved meanwhile may be given or not.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the cursor is none of this kind of store.
    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page>;

    /// Finishes what is under way, brings files into their resting form and lets go of files and connections.
    /// Afterwards every call gives [`Unavailable`](crate::ErrorKind::Unavailable), except `close`, which may be called
    /// again. Nothing acknowledged depends on it being called.
    async fn close(&self) -> Result<()>;
}

/// A shared store is a store.
#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        (**self).insert(id, record).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        (**self).load(id, how).await
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        (**self).replace(id, expected, record).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        (**self).touch(id, expires_at).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        (**self).rename(rename).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        (**self).remove(id).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        (**self).list(key).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        (**self).clear(key).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        (**self).remove_expired(now).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        (**self).scan(cursor, limit).await
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}
