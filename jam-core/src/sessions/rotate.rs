//! New ids for old sessions.

use super::facts::note;
use super::modify::is_race;
use super::{Located, Session, SessionOptions, Sessions};
use crate::{
    Bytes, Error, ErrorKind, InnerId, Life, Load, Record, RecordId, Rename, Result, SessionId, SessionKey, Stored,
};

/// What a rotation changes besides the secret.
struct Rotation {
    operation: &'static str,
    login: Option<(SessionKey, Life)>,
    grace: bool,
    /// Only where the session was found, and not where a rotation with grace has moved it since.
    only_there: bool,
}

impl Sessions {
    /// Gives a session a new id; the old one ends in the same step. Data, handle, beginning and a ttl of its own stay,
    /// the ttl counts anew, and the id is [issued](super::Session::issued) now.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such session; [`Unavailable`](ErrorKind::Unavailable);
    /// [`Conflict`](ErrorKind::Conflict) if others changed it in each of
    /// [`max_attempts`](super::SessionsBuilder::max_attempts) rounds.
    pub async fn rework(&self, id: impl AsRef<str>) -> Result<SessionId> {
        self.rotate(
            id.as_ref(),
            Rotation {
                operation: "rework",
                login: None,
                grace: false,
                only_there: false,
            },
        )
        .await
    }

    /// Gives a session a new id, and lets the old one reach it for the configured
    /// [`grace`](super::SessionsBuilder::grace), so that parallel requests of one page are not logged out. For routine
    /// rotation only; a login or a change of privilege needs [`rework_as`](Self::rework_as).
    ///
    /// Rotate by the current id: a request whose session came [through the grace](super::Session::through_grace) should
    /// not rotate again. An old id follows up to 64 rotations within its grace.
    ///
    /// Where the store cannot say whether it was done ([`outcome_unknown`](crate::Error::outcome_unknown)), the session is
    /// looked for under the new id, and the new id is given if it is there, or a client that was told of an error would be
    /// left with an id that ends with its grace. So a store that waits for replicas, and has too few, keeps nobody from
    /// rotating; a failover at that moment may still undo it.
    ///
    /// # Errors
    /// As [`rework`](Self::rework); [`Config`](ErrorKind::Config) if no grace is configured.
    pub async fn rework_with_grace(&self, id: impl AsRef<str>) -> Result<SessionId> {
        self.check_grace()?;
        self.rotate(
            id.as_ref(),
            Rotation {
                operation: "rework_with_grace",
                login: None,
                grace: true,
                only_there: false,
            },
        )
        .await
    }

    /// The same for a session that was loaded, unless somebody else has rotated it since, or it has ended: then there is
    /// `None` to give to the client. So of the requests of one page, whose answers arrive in any order, one alone carries a
    /// new id, and the client does not end up with one that was rotated away again.
    ///
    /// # Errors
    /// As [`rework_with_grace`](Self::rework_with_grace).
    pub async fn rework_loaded_with_grace(&self, session: &Session) -> Result<Option<SessionId>> {
        self.check_grace()?;
        let rotation = Rotation {
            operation: "rework_with_grace",
            login: None,
            grace: true,
            only_there: true,
        };
        match self
            .run(rotation.operation, self.rotate_at(&session.0.at, &rotation))
            .await
        {
            Err(error) if is_race(error.kind()) => Ok(None),
            rotated => rotated.map(Some),
        }
    }

    /// Logs in: moves a session to another key (or the same one, to authenticate again) with a new id and a new life.
    /// Nothing is left at the old id, so one that was planted before the login is worthless after it (session fixation;
    /// OWASP ASVS 5.0, 7.2.4).
    ///
    /// The data moves along. The options count for the new life: a ttl the visitor's session had of its own does not go
    /// over. With a cap that refuses newcomers a full key gives [`LimitReached`](ErrorKind::LimitReached) and the
    /// visitor keeps the session; of logins that race for the last place from several processes, those that came too
    /// late end.
    ///
    /// # Errors
    /// As [`rework`](Self::rework) and [`create_with`](Self::create_with).
    pub async fn rework_as(
        &self,
        id: impl AsRef<str>,
        new_key: impl AsRef<str>,
        options: SessionOptions,
    ) -> Result<SessionId> {
        let login = (
            SessionKey::new(new_key)?,
            self.new_life(options, self.inner.clock.now())?,
        );
        self.rotate(
            id.as_ref(),
            Rotation {
                operation: "rework_as",
                login: Some(login),
                grace: false,
                only_there: false,
            },
        )
        .await
    }

    fn check_grace(&self) -> Result<()> {
        match self.inner.grace {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorKind::Config,
                "rotation with grace needs `grace` to be configured",
            )),
        }
    }

    async fn rotate(&self, id: &str, rotation: Rotation) -> Result<SessionId> {
        self.run(rotation.operation, async {
            let at = self.locate(id)?.ok_or(ErrorKind::NotFound)?;
            self.rotate_at(&at, &rotation).await
        })
        .await
    }

    async fn rotate_at(&self, at: &Located, rotation: &Rotation) -> Result<SessionId> {
        let _turn = self.inner.queue.turn(at.whom()).await;
        // A login as somebody else adds a session to their key.
        let newcomer_of = rotation
            .login
            .as_ref()
            .map(|(key, _)| key)
            .filter(|key| *key != at.record.key());
        let mut _cap_turn = None;
        if let Some(key) = newcomer_of {
            _cap_turn = self.cap_turn(key).await;
            self.check_room(key).await?;
        }
        let (session_id, to) = self.reissue(at, rotation.login.as_ref())?;
        let mut noted: Option<RecordId> = None;
        for _ in 0..self.inner.attempts {
            let (from, stored) = self.find_fresh(at.clone()).await?.ok_or(ErrorKind::NotFound)?;
            if rotation.only_there && from.record != at.record {
                return Err(ErrorKind::NotFound.into());
            }
            if rotation.grace && noted.as_ref() != Some(&from.record) {
                self.leave_note(&from, &to.record).await?;
                noted = Some(from.record.clone());
            }
            if !rotation.grace {
                // Who comes with that id later finds neither the session nor a note that leads on.
                self.mark_as(at, &from).await?;
            }
            let payload = self.rebind(&from, &to, &stored)?;
            let record = Record {
                payload,
                expires_at: self.expires_at(&to),
            };
            let rename = Rename {
                from: &from.record,
                expected: &stored.version,
                to: &to.record,
                record: &record,
            };
            match self.inner.store().rename(rename).await {
                Ok(()) => {
                    if newcomer_of.is_some() {
                        self.trim(&to.record).await?;
                    }
                    return Ok(session_id);
                }
                Err(error) if is_race(error.kind()) => note(|facts| facts.retries += 1),
                Err(error) if rotation.grace && error.outcome_unknown() && self.is_there(&to).await => {
                    return Ok(session_id);
                }
                Err(error) => return Err(error),
            }
        }
        Err(self.gave_up())
    }

    /// Whether a session is there for certain, past any cache.
    async fn is_there(&self, at: &Located) -> bool {
        let found = self.inner.store().load(&at.record, Load::new().fresh()).await;
        matches!(found, Ok(Some(_)))
    }

    /// The new id: the same handle and life, issued now, unless it is a login or the ids cannot keep them.
    fn reissue(&self, at: &Located, login: Option<&(SessionKey, Life)>) -> Result<(SessionId, Located)> {
        let (key, life) = match (login, at.described.life) {
            (Some((key, life)), _) => (key.clone(), *life),
            (None, Some(life)) => (at.record.key().clone(), life.reissued(self.inner.clock.now())),
            (None, None) => (
                at.record.key().clone(),
                self.new_life(SessionOptions::new(), self.inner.clock.now())?,
            ),
        };
        let id = if self.inner.codec.keeps_life() {
            InnerId::generate(key, at.described.handle.clone(), life)?
        } else {
            self.new_id(key, life)?
        };
        let (session_id, record) = self.inner.issue(&id)?;
        Ok((session_id, self.located(record)))
    }

    /// The payload for its new place. Sealed anew, so that a rework also moves it to the newest key.
    fn rebind(&self, from: &Located, to: &Located, stored: &Stored) -> Result<Bytes> {
        self.inner.seal(to, self.inner.open(from, &stored.payload)?)
    }
}
