//! "Your devices": listing sessions of a key and ending them by handle, without ever showing an id.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::data::{self, Data};
use super::{Inner, Located, Sessions, facts};
use crate::{Entry, Error, ErrorKind, Handle, RecordId, Result, SessionKey, Timestamp};

/// One line of a listing. Holds no id and nothing an id could be made from.
#[derive(Clone)]
pub struct SessionInfo {
    inner: Arc<Inner>,
    at: Located,
    entry: Entry,
    expires_at: Option<Timestamp>,
}

impl SessionInfo {
    /// The session's name: show it, and [revoke](Sessions::revoke) by it.
    pub fn handle(&self) -> &Handle {
        &self.at.described.handle
    }

    /// When it began, to the second; `None` if its id does not tell ([`PlainIds`](crate::PlainIds)).
    pub fn created(&self) -> Option<Timestamp> {
        self.at.described.life.map(|life| life.created())
    }

    /// When its present id was issued, to the second: at the last rework or login, or when it began; `None` if its id
    /// does not tell ([`PlainIds`](crate::PlainIds)).
    pub fn issued(&self) -> Option<Timestamp> {
        self.at.described.life.map(|life| life.issued())
    }

    /// When it ends if it is not used again, by its ttl or by [`max_lifetime`](super::SessionsBuilder::max_lifetime); `None`:
    /// never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Its data, opened and parsed now.
    ///
    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) if it does not open, [`Corrupt`](ErrorKind::Corrupt) if it is not what a
    /// serializer wrote.
    pub fn data(&self) -> Result<Data> {
        let payload = self.inner.open(&self.at, &self.entry.stored.payload)?;
        data::from_payload(self.inner.serializer.as_deref(), &payload)
    }

    /// Its data as a type of your own.
    ///
    /// # Errors
    /// As [`data`](Self::data); [`InvalidInput`](ErrorKind::InvalidInput) if it has another shape.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T> {
        data::data_as(&self.data()?)
    }
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("handle", self.handle())
            .field("created", &self.created())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// The sessions of a key, oldest first.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a key that has not 1 to 512 bytes;
    /// [`Unavailable`](ErrorKind::Unavailable).
    pub async fn list(&self, key: impl AsRef<str>) -> Result<Vec<SessionInfo>> {
        self.run("list", async {
            let sessions = self.sessions_of(&SessionKey::new(key)?).await?;
            let info = |(at, entry): (Located, Entry)| SessionInfo {
                inner: Arc::clone(&self.inner),
                expires_at: self.inner.expiry.ends(at.life(), entry.expires_at),
                at,
                entry,
            };
            let mut infos: Vec<_> = sessions.into_iter().map(info).collect();
            infos.sort_by(|a, b| (a.created(), a.handle()).cmp(&(b.created(), b.handle())));
            Ok(infos)
        })
        .await
    }

    /// Ends the session of this name and tells whether there was one. A rework that runs meanwhile does not save it
    /// (with [`PlainIds`](crate::PlainIds) it does: a rework changes the handle there).
    ///
    /// # Errors
    /// As [`list`](Self::list); [`Conflict`](ErrorKind::Conflict) if it was reworked in each of
    /// [`max_attempts`](super::SessionsBuilder::max_attempts) rounds and one more. If a session was ended before the error,
    /// [`outcome_unknown`](Error::outcome_unknown).
    pub async fn revoke(&self, key: impl AsRef<str>, handle: impl AsRef<str>) -> Result<bool> {
        self.run_told("revoke", async {
            let key = SessionKey::new(key)?;
            let named = |at: &Located| at.described.handle.as_str() == handle.as_ref();
            let mut ended = 0;
            let outcome = self.remove_all(&key, named, &mut ended).await;
            outcome.map_err(|error| half_way(error, ended))?;
            self.confirm_none(&key, ended).await?;
            Ok(ended > 0)
        })
        .await
    }

    /// Ends every other session of the key this one belongs to ("log out everywhere else"), and tells how many.
    ///
    /// With [`PlainIds`](crate::PlainIds), whose handle changes with a rework, a rework of this session in *another process*
    /// at that moment makes it one of the others.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no session under this id; otherwise as [`revoke`](Self::revoke).
    pub async fn clear_others(&self, id: impl AsRef<str>) -> Result<u64> {
        self.run("clear_others", async {
            let asked = self.locate(id.as_ref())?.ok_or(ErrorKind::NotFound)?;
            let key = asked.record.key().clone();
            let mut ended = 0;
            let outcome = self.remove_others(asked, &mut ended).await;
            facts::note(|facts| facts.wrote_nothing = ended == 0);
            outcome.map_err(|error| half_way(error, ended))?;
            self.confirm_none(&key, ended).await?;
            Ok(ended)
        })
        .await
    }

    async fn remove_others(&self, asked: Located, ended: &mut u64) -> Result<()> {
        // Where ids do not keep their handle, a rework would make it look like one of the others.
        let _turn = self.inner.queue.turn(asked.whom()).await;
        for _ in self.inner.rounds() {
            // Looked up each time: another process may rework it.
            let (own, _) = self.find_fresh(asked.clone()).await?.ok_or(ErrorKind::NotFound)?;
            let other = |at: &Located| at.described.handle != own.described.handle;
            if !self.remove_where(own.record.key(), other, ended).await? {
                return Ok(());
            }
        }
        Err(self.gave_up())
    }

    /// Removes until nothing that matches is left, so that a rework that runs meanwhile cannot slip through.
    pub(super) async fn remove_all(
        &self,
        key: &SessionKey,
        matches: impl Fn(&Located) -> bool,
        ended: &mut u64,
    ) -> Result<()> {
        for _ in self.inner.rounds() {
            if !self.remove_where(key, &matches, ended).await? {
                return Ok(());
            }
        }
        Err(self.gave_up())
    }

    /// That nothing was there to end, which a listing has shown, is asked of the store like an end: one that has those confirmed, by
    /// replicas say, has this confirmed as well. Somebody may have ended it just before.
    async fn confirm_none(&self, key: &SessionKey, ended: u64) -> Result<()> {
        if ended > 0 {
            return Ok(());
        }
        let nothing = RecordId::new(key.clone(), "none")?.reserved()?;
        self.inner.store().remove(&nothing).await.map(drop)
    }

    /// Removes what matches now and counts what was still there to end; tells whether there was anything. What is over by
    /// this manager's `max_lifetime` goes as well, uncounted: another one, with a longer one, may still serve it.
    async fn remove_where(
        &self,
        key: &SessionKey,
        matches: impl Fn(&Located) -> bool,
        ended: &mut u64,
    ) -> Result<bool> {
        let mut found = false;
        let entries = self.inner.store().list(key).await?;
        for entry in entries.into_iter().filter(|entry| !entry.id.is_reserved()) {
            let at = self.located(entry.id);
            if matches(&at) {
                found = true;
                let was_there = self.inner.store().remove(&at.record).await?;
                *ended += u64::from(was_there && !self.is_over(&at));
            }
        }
        Ok(found)
    }
}

/// The error of a call that had ended some sessions already: it did not do nothing.
pub(super) fn half_way(error: Error, ended: u64) -> Error {
    if ended > 0 { error.with_outcome_unknown() } else { error }
}
