//! For web layers: telling an id that was replaced from one that never led anywhere.

use std::time::Duration;

use super::devices::half_way;
use super::{Located, Session, Sessions};
use crate::{ErrorKind, Load, Record, Result, SessionKey};

/// How many records are looked at on the way from an old id.
const MAX_LOOKS: usize = 64;
/// How long requests with an id that nobody marked may be on their way: one that a rotation has just given out.
const ON_THEIR_WAY: Duration = Duration::from_secs(30);

impl Sessions {
    /// Notes that this session's id is about to be replaced, by a login or a rework: for as long as `lasting`,
    /// [`was_superseded`](Self::was_superseded) says so of the old id.
    ///
    /// A request that is still on its way with the old id finds no session, as it should. If it then began one, its answer
    /// could displace the new id in the client, who would be logged out. With the note it can tell that there is nothing
    /// to begin. The old id leads nowhere all the same: the note does not name the new one. It costs a call to the store, and
    /// is to be left before the rework, so that a request that finds nothing finds the note. It is a record of its own,
    /// and neither lengthens nor shortens a [grace](super::SessionsBuilder::grace).
    ///
    /// A rotation with grace may move the session after it was loaded. Where the [rework](Self::rework) or
    /// [login](Self::rework_as) by the marked id then finds it, it leaves another note, for half a minute.
    ///
    /// Where ids cannot carry a life (those of the jamlib layout) nothing is noted.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable).
    pub async fn mark_superseded(&self, session: &Session, lasting: Duration) -> Result<()> {
        if !self.inner.codec.keeps_life() {
            return Ok(());
        }
        self.run("mark_superseded", self.mark(&session.0.at, lasting)).await
    }

    async fn mark(&self, at: &Located, lasting: Duration) -> Result<()> {
        let mark = at.record.reserved()?.reserved()?;
        let ends = self.inner.clock.now().plus(lasting);
        let record = Record::new(self.seal_note(at, &[])?, Some(ends));
        let store = self.inner.store();
        for _ in 0..2 {
            match store.insert(&mark, &record).await {
                // Marked already; the later end counts, unless that mark is over just now.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if store.touch(&mark, ends).await? {
                        break;
                    }
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    /// Marks the place where a session is found that was to be found, and was marked, somewhere else.
    pub(super) async fn mark_as(&self, asked: &Located, found: &Located) -> Result<()> {
        if found.record != asked.record && self.is_marked(asked).await? {
            self.mark(found, ON_THEIR_WAY).await?;
        }
        Ok(())
    }

    /// Whether the session that was at this id [was to go on](Self::mark_superseded) under another one a moment ago. To
    /// be asked of an id at which there is no session; of one that is alive, the answer means nothing.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable).
    pub async fn was_superseded(&self, id: impl AsRef<str>) -> Result<bool> {
        self.run_told("was_superseded", async {
            match self.locate(id.as_ref())? {
                Some(at) => self.is_marked(&at).await,
                None => Ok(false),
            }
        })
        .await
    }

    /// Ends the session that was at this id a moment ago and was to go on under another one, of the same user, and tells whether there
    /// was one: for a logout that was on its way while the session got a new id. Of an id that was not
    /// [marked](Self::mark_superseded), or not of late, it ends nothing.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke).
    pub async fn delete_superseded(&self, id: impl AsRef<str>) -> Result<bool> {
        self.end_superseded(id.as_ref(), None).await
    }

    /// The same where it was to go on as `new_key`'s, by a [login](Self::rework_as): for a login that is tried once more because the
    /// answer with the new id never arrived, when nobody can use the session that took the user's last place. Whoever calls this
    /// has found out that it is that user.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke).
    pub async fn delete_superseded_as(&self, id: impl AsRef<str>, new_key: impl AsRef<str>) -> Result<bool> {
        let new_key = SessionKey::new(new_key)?;
        self.end_superseded(id.as_ref(), Some(&new_key)).await
    }

    async fn end_superseded(&self, id: &str, new_key: Option<&SessionKey>) -> Result<bool> {
        self.run_told("delete", async {
            let Some(at) = self.locate(id)? else {
                return Ok(false);
            };
            if !self.is_marked(&at).await? {
                return Ok(false);
            }
            let mut ended = 0;
            // A login may have given it another ttl.
            let same = |found: &Located| found.described.handle == at.described.handle;
            let key = new_key.unwrap_or(at.record.key());
            let outcome = self.remove_all(key, same, &mut ended).await;
            outcome.map(|()| ended > 0).map_err(|error| half_way(error, ended))
        })
        .await
    }

    /// Whether there is a mark at this place, or at one that notes lead to from there.
    async fn is_marked(&self, at: &Located) -> Result<bool> {
        let mut trail = vec![at.record.clone()];
        for _ in 0..MAX_LOOKS {
            let Some(record) = trail.pop() else { break };
            let mark = record.reserved()?.reserved()?;
            if self.inner.store().load(&mark, Load::new().fresh()).await?.is_some() {
                return Ok(true);
            }
            trail.extend(self.note_targets(at, &record, true).await?);
        }
        Ok(false)
    }
}
