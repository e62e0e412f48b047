//! Who it is: logging in and out, new ids.

use jam_core::{Data, Error as CoreError, ErrorKind, Session as Loaded, SessionId, SessionKey, SessionOptions};

use super::Session;
use super::state::{ON_THEIR_WAY, Seat, apart, is_visitor};
use crate::config::Inner;
use crate::{Error, Result};

impl Session {
    /// Logs in: the session becomes this user's, under a new id, and nothing is left at the old one. So an id that somebody
    /// planted before the login is worthless after it (OWASP ASVS 5.0, 7.2.4). Without a session one begins.
    ///
    /// A visitor's data goes along, and so does that of the same user who authenticates again. The session of *another*
    /// user ends, and none of its data goes over; so does one that cannot be read, whatever
    /// [`Undecodable`](crate::Undecodable) says, so that a key that was lost locks nobody out. Field changes of this request go
    /// along in any case.
    ///
    /// A login that fails leaves the session that there is, another user's too, and the client's cookie. (One that
    /// cannot be read may have ended.) Where the [outcome is unknown](jam_core::Error::outcome_unknown) it may have
    /// been done all the same, and nobody has the new id: the session that was to go along is then lost, the client's id is
    /// dead, and for half a minute what comes with it begins no session. Logging in once more works at once, in that half minute also
    /// where the lost session has the user's last place: it ends then.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::InvalidUser`] for a key that has not 1 to 512 bytes or begins like
    /// [a visitor's](crate::SessionConfigBuilder::visitor_prefix); [`Error::Sessions`] of kind `LimitReached` if the user has as
    /// many sessions as they may.
    pub async fn login(&self, user: impl AsRef<str>) -> Result<()> {
        self.login_with(user, SessionOptions::new()).await
    }

    /// The same with options of its own, such as a longer ttl ("remember me"). With the default
    /// [`CookieLife`](crate::CookieLife) the browser then keeps the cookie as long.
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub async fn login_with(&self, user: impl AsRef<str>, options: SessionOptions) -> Result<()> {
        let config = self.shared.config.inner();
        let user = SessionKey::new(user).map_err(|source| Error::InvalidUser { source })?;
        if is_visitor(config, &user) {
            let message = "it begins like a visitor's";
            let source = CoreError::new(ErrorKind::InvalidInput, message);
            return Err(Error::InvalidUser { source });
        }
        let mut state = self.change().await?;
        let stays = match state.load(config).await {
            Ok(loaded) => loaded.map(|loaded| is_visitor(config, loaded.key()) || *loaded.key() == user),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Crypto) => None,
            Err(error) => return Err(self.error(error)),
        };
        state.supersede(config).await.map_err(|error| self.error(error))?;
        let mut replaced = state.dead.clone();
        let of_another = match (state.id_unseen(), stays) {
            (Some(id), Some(true)) => match apart(config.sessions.rework_as(&id, &user, options)).await {
                Ok(id) => {
                    state.sit_down(id);
                    return Ok(());
                }
                // It ended meanwhile; whoever proved who they are gets a new one.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    replaced = Some(id);
                    None
                }
                Err(error) => return Err(self.error(error)),
            },
            // What cannot be read goes first: it may be the user's own, and take up the last place they have.
            (Some(id), None) => {
                let deleted = apart(config.sessions.delete(&id)).await;
                deleted.map_err(|error| self.error(error))?;
                state.seat = Seat::Empty;
                state.unreadable = None;
                None
            }
            (id, _) => id,
        };
        let create = || apart(config.sessions.create_with(&user, Data::new(), options));
        let created = match (create().await, replaced) {
            // By a login a moment ago, perhaps, whose answer never arrived.
            (Err(full), Some(replaced)) if full.kind() == ErrorKind::LimitReached => {
                let ended = apart(config.sessions.delete_superseded_as(&replaced, &user)).await;
                if ended.map_err(|error| self.error(error))? {
                    create().await
                } else {
                    Err(full)
                }
            }
            (created, _) => created,
        };
        let created = created.map_err(|error| self.error(error))?;
        // Only now, so that a login that fails leaves the other user theirs.
        let ended = match (of_another, state.last_seen()) {
            (Some(id), loaded) => end_marked(config, &id, loaded).await,
            (None, Some(last)) if !is_visitor(config, last.key()) && *last.key() != user => {
                end_moved(config, last).await
            }
            (None, _) => Ok(false),
        };
        if let Err(error) = ended {
            // Nobody has the new id. Where this fails as well, the session expires.
            drop(apart(config.sessions.delete(&created)).await);
            return Err(self.error(error));
        }
        state.sit_down(created);
        Ok(())
    }

    /// Logs out: the session ends now, nothing that is still under way brings it back, and the response takes the cookie
    /// away. Field changes of this request so far go with it. Tells whether there was a session.
    ///
    /// A session that another request gives a new id meanwhile ends as well, if this one has found it before, or came with
    /// the old id within half a minute after a [`rework`](Self::rework) or [`login`](Self::login).
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn logout(&self) -> Result<bool> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        let ended = match (state.id_unseen(), state.last_seen(), &state.dead) {
            (Some(id), loaded, _) => end(config, &id, loaded).await,
            (None, Some(last), _) => end_moved(config, last).await,
            (None, None, Some(dead)) => apart(config.sessions.delete_superseded(dead)).await,
            (None, None, None) => Ok(false),
        };
        let existed = ended.map_err(|error| self.error(error))?;
        state.stand_up(self.shared.brought);
        Ok(existed)
    }

    /// Logs out everywhere: ends every session of this user (or visitor), this one included, and tells how many there were.
    /// `0` is for a client that brought no id.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`](crate::Error::Sessions) of kind `NotFound` if the client
    /// brought an id whose session is gone: whose other sessions there are then is not known, and they have not ended.
    pub async fn logout_everywhere(&self) -> Result<u64> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        // Of a session that was ended elsewhere a cache may not have heard.
        let loaded = state.load_surely(config).await.map_err(|error| self.error(error))?;
        let ended = match loaded.map(|loaded| loaded.key().clone()) {
            Some(key) => {
                let cleared = apart(config.sessions.clear(&key)).await;
                cleared.map_err(|error| self.error(error))?
            }
            None if self.shared.brought => return Err(CoreError::from(ErrorKind::NotFound).into()),
            None => 0,
        };
        state.stand_up(self.shared.brought);
        Ok(ended)
    }

    /// Gives the session a new id now, without any grace for the old one: for a change of privilege. Where that fails
    /// and the [outcome is unknown](jam_core::Error::outcome_unknown), it may have been done: then the client has lost
    /// its id, and logs in again.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`](crate::Error::Sessions) of kind `NotFound` if there is no
    /// session (any more).
    pub async fn rework(&self) -> Result<()> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        let id = state.id(config).await.map_err(|error| self.error(error))?;
        let id = id.ok_or_else(|| CoreError::from(ErrorKind::NotFound))?;
        // Loaded anew after a `modify`: the note is left where the session is.
        state.load(config).await.map_err(|error| self.error(error))?;
        state.supersede(config).await.map_err(|error| self.error(error))?;
        let reworked = apart(config.sessions.rework(&id)).await;
        if matches!(&reworked, Err(error) if error.kind() == ErrorKind::NotFound) {
            state.vanish();
        }
        state.sit_down(reworked.map_err(|error| self.error(error))?);
        Ok(())
    }
}

/// Ends a session, also where another request has given it a new id since it was loaded, or just before.
async fn end(config: &Inner, id: &SessionId, loaded: Option<&Loaded>) -> jam_core::Result<bool> {
    if apart(config.sessions.delete(id)).await? {
        return Ok(true);
    }
    match loaded {
        Some(loaded) => end_moved(config, loaded).await,
        None => apart(config.sessions.delete_superseded(id)).await,
    }
}

/// Ends a session that was found, under whatever id it goes by now.
async fn end_moved(config: &Inner, found: &Loaded) -> jam_core::Result<bool> {
    apart(config.sessions.revoke(found.key(), found.handle())).await
}

/// Ends the session that was loaded and marked as superseded, and marks where a rotation has moved it since.
async fn end_marked(config: &Inner, id: &SessionId, loaded: Option<&Loaded>) -> jam_core::Result<bool> {
    if config.sessions.grace().is_some()
        && let Some(moved) = apart(config.sessions.get_fresh(id)).await?
        && moved.through_grace()
    {
        apart(config.sessions.mark_superseded(&moved, ON_THEIR_WAY)).await?;
    }
    end(config, id, loaded).await
}
