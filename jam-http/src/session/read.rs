//! Reading.

use jam_core::{Data, Handle, SessionId, SessionKey, Timestamp};
use serde::de::DeserializeOwned;

use super::Session;
use super::state::{Change, Seat, is_visitor};
use crate::{Error, Result, wire};

impl Session {
    /// Whether there is a session: one the client came with that is alive, or one this handler began.
    pub async fn exists(&self) -> Result<bool> {
        Ok(self.id().await?.is_some())
    }

    /// One field as a type of your own; `None` if there is no such field or no session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`] of kind `InvalidInput` if the field has another shape.
    pub async fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>> {
        let mut state = self.look().await?;
        let loaded = state.load(self.shared.config.inner()).await;
        let loaded = loaded.map_err(|error| self.error(error))?.is_some();
        match (state.changes.of(field), loaded) {
            (Some(Change::Removed), _) | (None, false) => Ok(None),
            (Some(Change::Set(value)), _) => T::deserialize(value).map(Some).map_err(|_| wrong_shape::<T>()),
            (None, true) => match state.loaded() {
                Some(loaded) => Ok(loaded.get(field)?),
                None => Ok(None),
            },
        }
    }

    /// All data, with the changes of this request; empty if there is no session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn data(&self) -> Result<Data> {
        Ok(self.view().await?.unwrap_or_default())
    }

    /// The data as a type of your own; `None` if there is no session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`] of kind `InvalidInput` if the data has another shape.
    pub async fn data_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(data) = self.view().await? else {
            return Ok(None);
        };
        T::deserialize(&data).map(Some).map_err(|_| wrong_shape::<T>())
    }

    /// The session key, whether of a user or of a visitor; `None` if there is no session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn key(&self) -> Result<Option<SessionKey>> {
        let mut state = self.look().await?;
        let loaded = state.load(self.shared.config.inner()).await;
        let loaded = loaded.map_err(|error| self.error(error))?;
        Ok(loaded.map(|loaded| loaded.key().clone()))
    }

    /// The session key of the user who is logged in; `None` for a visitor, with or without a session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn user(&self) -> Result<Option<SessionKey>> {
        let config = self.shared.config.inner();
        Ok(self.key().await?.filter(|key| !is_visitor(config, key)))
    }

    /// The same where a user is a must.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] if nobody is logged in; those [all methods share](Self#errors).
    pub async fn require_user(&self) -> Result<SessionKey> {
        self.user().await?.ok_or(Error::LoginRequired)
    }

    /// The session's name, safe to show; `None` if there is no session. It stays through every rework.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn handle(&self) -> Result<Option<Handle>> {
        let mut state = self.look().await?;
        let loaded = state.load(self.shared.config.inner()).await;
        let loaded = loaded.map_err(|error| self.error(error))?;
        Ok(loaded.map(|loaded| loaded.handle().clone()))
    }

    /// When the session began, or its user logged in; `None` if there is no session or its id does not tell.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn created(&self) -> Result<Option<Timestamp>> {
        let mut state = self.look().await?;
        let loaded = state.load(self.shared.config.inner()).await;
        let loaded = loaded.map_err(|error| self.error(error))?;
        Ok(loaded.and_then(jam_core::Session::created))
    }

    /// The session id, for calls to the [manager](crate::SessionConfig::sessions) itself. A secret.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn id(&self) -> Result<Option<SessionId>> {
        let mut state = self.look().await?;
        let id = state.id(self.shared.config.inner()).await;
        id.map_err(|error| self.error(error))
    }

    /// The id in the form in which it travels, for a login that answers with a token in its body. A secret. `None` if
    /// there is no session; what was only [inserted](Self::insert) so far begins one when the handler has answered.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn token(&self) -> Result<Option<String>> {
        Ok(self.id().await?.map(|id| wire::encode(&id)))
    }

    async fn view(&self) -> Result<Option<Data>> {
        let mut state = self.look().await?;
        if matches!(state.seat, Seat::Ended) {
            return Ok(None);
        }
        let view = state.view(self.shared.config.inner()).await;
        view.map_err(|error| self.error(error))
    }
}

// The parser's error would quote the data, so it is left out.
fn wrong_shape<T>() -> Error {
    let name = std::any::type_name::<T>();
    let message = format!("the session's data or field does not have the shape of `{name}`");
    jam_core::Error::new(jam_core::ErrorKind::InvalidInput, message).into()
}
