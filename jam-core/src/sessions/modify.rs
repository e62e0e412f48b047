//! Changing data without losing anybody else's change.

use std::convert::Infallible;

use super::data::{self, Data};
use super::facts::note;
use super::{Session, Sessions};
use crate::{ErrorKind, Load, Result};

impl Sessions {
    /// Changes a session's data by compare-and-swap: loads it, lets `change` work on it, and writes it if nobody else
    /// wrote meanwhile; else it starts over with what they wrote. No update is lost. Gives what `change` gave in the
    /// round that counted.
    ///
    /// `change` may run several times and should do nothing but change the data. Contenders inside one process that
    /// come with the same id take turns, also behind a call that [nobody drives any more](Sessions).
    ///
    /// ```
    /// # use jam_core::{MemoryStore, Sessions};
    /// # futures_lite::future::block_on(async {
    /// # let sessions = Sessions::new(MemoryStore::new());
    /// let id = sessions.create("user1", serde_json::json!({"visits": 1})).await?;
    /// let visits = sessions
    ///     .modify(&id, |data| {
    ///         let visits = data.get("visits").and_then(|visits| visits.as_u64()).unwrap_or(0) + 1;
    ///         data.insert("visits".into(), visits.into());
    ///         visits
    ///     })
    ///     .await?;
    /// assert_eq!(visits, 2);
    /// # Ok::<(), jam_core::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is no such session.
    /// - [`Conflict`](ErrorKind::Conflict) if others were faster in each of
    ///   [`max_attempts`](super::SessionsBuilder::max_attempts) rounds.
    /// - [`Unavailable`](ErrorKind::Unavailable); if it says [`outcome_unknown`](crate::Error::outcome_unknown) the
    ///   change may have been written. Such a write is never sent again.
    pub async fn modify<R>(&self, id: impl AsRef<str>, mut change: impl FnMut(&mut Data) -> R) -> Result<R> {
        let outcome = self.try_modify(id, |data| Ok::<R, Infallible>(change(data))).await?;
        outcome.map_err(|never| match never {})
    }

    /// The same for a change that may think better of it: if `change` gives an error, nothing is written and the error
    /// is given back inside.
    ///
    /// # Errors
    /// As [`modify`](Self::modify).
    pub async fn try_modify<R, E>(
        &self,
        id: impl AsRef<str>,
        mut change: impl FnMut(&mut Data) -> Result<R, E>,
    ) -> Result<Result<R, E>> {
        self.run("modify", async {
            let at = self.locate(id.as_ref())?.ok_or(ErrorKind::NotFound)?;
            let serializer = self.inner.serializer.as_deref();
            let _turn = self.inner.queue.turn(at.whom()).await;
            for _ in 0..self.inner.attempts {
                let (at, stored) = self.find_fresh(at.clone()).await?.ok_or(ErrorKind::NotFound)?;
                let mut data = data::from_payload(serializer, &self.inner.open(&at, &stored.payload)?)?;
                let outcome = match change(&mut data) {
                    Ok(outcome) => outcome,
                    Err(refusal) => {
                        note(|facts| facts.wrote_nothing = true);
                        return Ok(Err(refusal));
                    }
                };
                let record = self.record(&at, data::to_payload(serializer, &data)?.into())?;
                match self
                    .inner
                    .store()
                    .replace(&at.record, Some(&stored.version), &record)
                    .await
                {
                    Ok(()) => return Ok(Ok(outcome)),
                    Err(error) if is_race(error.kind()) => note(|facts| facts.retries += 1),
                    Err(error) => return Err(error),
                }
            }
            Err(self.gave_up())
        })
        .await
    }

    /// Writes a loaded session back, if nobody else wrote it meanwhile, and counts its ttl anew. A session that was not
    /// changed is not written.
    ///
    /// # Errors
    /// - [`Conflict`](ErrorKind::Conflict) if it was changed by somebody else meanwhile, or rotated with grace; load it
    ///   again.
    /// - [`NotFound`](ErrorKind::NotFound) if it has ended or was reworked meanwhile; nothing brings it back at this
    ///   id.
    /// - [`Unavailable`](ErrorKind::Unavailable).
    pub async fn commit(&self, session: Session) -> Result<()> {
        // Asks no store, and so is no operation that would tell how it does.
        if !session.0.changed {
            return Ok(());
        }
        self.run("commit", async {
            if self.is_over(&session.0.at) {
                return Err(ErrorKind::NotFound.into());
            }
            let record = self.record(&session.0.at, session.to_payload()?.into())?;
            match self
                .inner
                .store()
                .replace(&session.0.at.record, Some(&session.0.version), &record)
                .await
            {
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && self.successor(&session.0.at, Load::new().fresh()).await?.is_some() =>
                {
                    Err(ErrorKind::Conflict.into())
                }
                result => result,
            }
        })
        .await
    }
}

/// Whether somebody else was faster, so that looking again may help.
pub(super) fn is_race(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Conflict | ErrorKind::NotFound)
}
