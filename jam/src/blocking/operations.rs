//! The operations: each waits for the one of the same name on the async manager.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sessions;
use crate::{Clock, Data, Life, Result, Session, SessionId, SessionInfo, SessionOptions, SessionStore};

/// Each gives the errors of the async one it names, and [`Unsupported`](crate::ErrorKind::Unsupported) inside async code.
impl Sessions {
    /// Creates a session for this key and gives the id for the client. `data` is anything that serializes to a JSON object.
    ///
    /// # Errors
    /// As [`jam::Sessions::create`](crate::Sessions::create).
    pub fn create(&self, key: impl AsRef<str>, data: impl Serialize) -> Result<SessionId> {
        self.wait("create", self.inner.sessions.create(key, data))
    }

    /// Creates a session with options of its own, such as a longer ttl.
    ///
    /// # Errors
    /// As [`jam::Sessions::create_with`](crate::Sessions::create_with).
    pub fn create_with(
        &self,
        key: impl AsRef<str>,
        data: impl Serialize,
        options: SessionOptions,
    ) -> Result<SessionId> {
        self.wait("create_with", self.inner.sessions.create_with(key, data, options))
    }

    /// Creates a session for somebody nobody knows yet: its key is `prefix` and a text that no other key has.
    ///
    /// # Errors
    /// As [`jam::Sessions::create_visitor`](crate::Sessions::create_visitor).
    pub fn create_visitor(&self, prefix: &str, data: impl Serialize) -> Result<SessionId> {
        self.wait("create_visitor", self.inner.sessions.create_visitor(prefix, data))
    }

    /// Loads a session; `None` if there is none (any more) under this id.
    ///
    /// # Errors
    /// As [`jam::Sessions::get`](crate::Sessions::get).
    pub fn get(&self, id: impl AsRef<str>) -> Result<Option<Session>> {
        self.wait("get", self.inner.sessions.get(id))
    }

    /// The same, past any cache.
    ///
    /// # Errors
    /// As [`jam::Sessions::get_fresh`](crate::Sessions::get_fresh).
    pub fn get_fresh(&self, id: impl AsRef<str>) -> Result<Option<Session>> {
        self.wait("get_fresh", self.inner.sessions.get_fresh(id))
    }

    /// Loads a session's data as a type of your own.
    ///
    /// # Errors
    /// As [`jam::Sessions::get_as`](crate::Sessions::get_as).
    pub fn get_as<T: DeserializeOwned>(&self, id: impl AsRef<str>) -> Result<Option<T>> {
        self.wait("get_as", self.inner.sessions.get_as(id))
    }

    /// Whether there is a session under this id. Renews like [`get`](Self::get).
    ///
    /// # Errors
    /// As [`jam::Sessions::exists`](crate::Sessions::exists).
    pub fn exists(&self, id: impl AsRef<str>) -> Result<bool> {
        self.wait("exists", self.inner.sessions.exists(id))
    }

    /// Replaces a session's data, whatever it was, and counts its ttl anew.
    ///
    /// # Errors
    /// As [`jam::Sessions::update`](crate::Sessions::update).
    pub fn update(&self, id: impl AsRef<str>, data: impl Serialize) -> Result<()> {
        self.wait("update", self.inner.sessions.update(id, data))
    }

    /// Counts a session's ttl anew without reading or writing its data; `false` if there is none.
    ///
    /// # Errors
    /// As [`jam::Sessions::touch`](crate::Sessions::touch).
    pub fn touch(&self, id: impl AsRef<str>) -> Result<bool> {
        self.wait("touch", self.inner.sessions.touch(id))
    }

    /// Ends a session and tells whether there was one.
    ///
    /// # Errors
    /// As [`jam::Sessions::delete`](crate::Sessions::delete).
    pub fn delete(&self, id: impl AsRef<str>) -> Result<bool> {
        self.wait("delete", self.inner.sessions.delete(id))
    }

    /// Ends every session of this key in one step and tells how many there were.
    ///
    /// # Errors
    /// As [`jam::Sessions::clear`](crate::Sessions::clear).
    pub fn clear(&self, key: impl AsRef<str>) -> Result<u64> {
        self.wait("clear", self.inner.sessions.clear(key))
    }

    /// Changes a session's data by compare-and-swap, so that no update is lost. `change` may run several times, should do nothing
    /// but change the data, and may not call the manager. If it panics, nothing was written.
    ///
    /// # Errors
    /// As [`jam::Sessions::modify`](crate::Sessions::modify).
    pub fn modify<R>(&self, id: impl AsRef<str>, change: impl FnMut(&mut Data) -> R) -> Result<R> {
        self.wait("modify", self.inner.sessions.modify(id, change))
    }

    /// The same for a change that may think better of it: if `change` gives an error, nothing is written and the error
    /// is given back inside.
    ///
    /// # Errors
    /// As [`jam::Sessions::try_modify`](crate::Sessions::try_modify).
    pub fn try_modify<R, E>(
        &self,
        id: impl AsRef<str>,
        change: impl FnMut(&mut Data) -> Result<R, E>,
    ) -> Result<Result<R, E>> {
        self.wait("try_modify", self.inner.sessions.try_modify(id, change))
    }

    /// Writes a loaded session back, if nobody else wrote it meanwhile, and counts its ttl anew.
    ///
    /// # Errors
    /// As [`jam::Sessions::commit`](crate::Sessions::commit).
    pub fn commit(&self, session: Session) -> Result<()> {
        self.wait("commit", self.inner.sessions.commit(session))
    }

    /// Gives a session a new id; the old one ends in the same step.
    ///
    /// # Errors
    /// As [`jam::Sessions::rework`](crate::Sessions::rework).
    pub fn rework(&self, id: impl AsRef<str>) -> Result<SessionId> {
        self.wait("rework", self.inner.sessions.rework(id))
    }

    /// Gives a session a new id, and lets the old one reach it for the configured grace.
    ///
    /// # Errors
    /// As [`jam::Sessions::rework_with_grace`](crate::Sessions::rework_with_grace).
    pub fn rework_with_grace(&self, id: impl AsRef<str>) -> Result<SessionId> {
        self.wait("rework_with_grace", self.inner.sessions.rework_with_grace(id))
    }

    /// The same for a session that was loaded, unless somebody else has rotated it since, or it has ended: then `None`.
    ///
    /// # Errors
    /// As [`jam::Sessions::rework_loaded_with_grace`](crate::Sessions::rework_loaded_with_grace).
    pub fn rework_loaded_with_grace(&self, session: &Session) -> Result<Option<SessionId>> {
        self.wait(
            "rework_loaded_with_grace",
            self.inner.sessions.rework_loaded_with_grace(session),
        )
    }

    /// Logs in: moves a session to another key (or the same one, to authenticate again) with a new id and a new life.
    ///
    /// # Errors
    /// As [`jam::Sessions::rework_as`](crate::Sessions::rework_as).
    pub fn rework_as(
        &self,
        id: impl AsRef<str>,
        new_key: impl AsRef<str>,
        options: SessionOptions,
    ) -> Result<SessionId> {
        self.wait("rework_as", self.inner.sessions.rework_as(id, new_key, options))
    }

    /// Notes that this session's id is about to be replaced, by a login or a rework; for web layers.
    ///
    /// # Errors
    /// As [`jam::Sessions::mark_superseded`](crate::Sessions::mark_superseded).
    pub fn mark_superseded(&self, session: &Session, lasting: Duration) -> Result<()> {
        self.wait("mark_superseded", self.inner.sessions.mark_superseded(session, lasting))
    }

    /// Whether the session that was at this id was to go on under another one a moment ago; for web layers.
    ///
    /// # Errors
    /// As [`jam::Sessions::was_superseded`](crate::Sessions::was_superseded).
    pub fn was_superseded(&self, id: impl AsRef<str>) -> Result<bool> {
        self.wait("was_superseded", self.inner.sessions.was_superseded(id))
    }

    /// Ends the session that was at this id a moment ago and was to go on under another one; for web layers.
    ///
    /// # Errors
    /// As [`jam::Sessions::delete_superseded`](crate::Sessions::delete_superseded).
    pub fn delete_superseded(&self, id: impl AsRef<str>) -> Result<bool> {
        self.wait("delete", self.inner.sessions.delete_superseded(id))
    }

    /// The same where it was to go on as `new_key`'s, by a login; for web layers.
    ///
    /// # Errors
    /// As [`jam::Sessions::delete_superseded_as`](crate::Sessions::delete_superseded_as).
    pub fn delete_superseded_as(&self, id: impl AsRef<str>, new_key: impl AsRef<str>) -> Result<bool> {
        self.wait("delete", self.inner.sessions.delete_superseded_as(id, new_key))
    }

    /// The sessions of a key, oldest first, to be shown and [revoked](Self::revoke) by handle.
    ///
    /// # Errors
    /// As [`jam::Sessions::list`](crate::Sessions::list).
    pub fn list(&self, key: impl AsRef<str>) -> Result<Vec<SessionInfo>> {
        self.wait("list", self.inner.sessions.list(key))
    }

    /// Ends the session of this name and tells whether there was one.
    ///
    /// # Errors
    /// As [`jam::Sessions::revoke`](crate::Sessions::revoke).
    pub fn revoke(&self, key: impl AsRef<str>, handle: impl AsRef<str>) -> Result<bool> {
        self.wait("revoke", self.inner.sessions.revoke(key, handle))
    }

    /// Ends every other session of the key this one belongs to, and tells how many.
    ///
    /// # Errors
    /// As [`jam::Sessions::clear_others`](crate::Sessions::clear_others).
    pub fn clear_others(&self, id: impl AsRef<str>) -> Result<u64> {
        self.wait("clear_others", self.inner.sessions.clear_others(id))
    }

    /// Reclaims the space of expired sessions and tells how many records that were
    /// ([`Sessions::remove_expired`](crate::Sessions::remove_expired)).
    ///
    /// # Errors
    /// As [`jam::Sessions::remove_expired`](crate::Sessions::remove_expired).
    pub fn remove_expired(&self) -> Result<u64> {
        self.wait("remove_expired", self.inner.sessions.remove_expired())
    }

    /// Finishes what is under way and lets go of files and connections; afterwards every call gives
    /// [`Unavailable`](crate::ErrorKind::Unavailable). Optional: nothing acknowledged depends on it.
    ///
    /// # Errors
    /// As [`jam::Sessions::close`](crate::Sessions::close).
    pub fn close(&self) -> Result<()> {
        self.wait("close", self.inner.sessions.close())
    }

    /// The store underneath, for migration and tools.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        self.inner.sessions.store()
    }

    /// How long a session lives that is written now under this id. The store is not asked. See
    /// [`jam::Sessions::lifetime`](crate::Sessions::lifetime).
    pub fn lifetime(&self, id: impl AsRef<str>) -> Option<Duration> {
        self.inner.sessions.lifetime(id)
    }

    /// When a session of this id began, and the ttl of its own. The store is not asked. See
    /// [`jam::Sessions::life`](crate::Sessions::life).
    pub fn life(&self, id: impl AsRef<str>) -> Option<Life> {
        self.inner.sessions.life(id)
    }

    /// The clock of this manager.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.inner.sessions.clock()
    }

    /// For how long an id still works after a [rotation with grace](Self::rework_with_grace); `None`: there is none.
    pub fn grace(&self) -> Option<Duration> {
        self.inner.sessions.grace()
    }

    /// Whether reading a session counts as using it.
    pub fn renews_on_read(&self) -> bool {
        self.inner.sessions.renews_on_read()
    }
}
