//! A loaded session.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::data::{self, Data};
use super::{Inner, Located};
use crate::{ErrorKind, Handle, Result, SessionKey, Timestamp, Version};

/// A session as it was when it was loaded. Changes to it stay in memory until
/// [`Sessions::commit`](super::Sessions::commit).
///
/// The data is parsed when it is first asked for, so a request that only checks that there is a session does not pay
/// for it. `Debug` shows the handle and nothing of the data.
#[derive(Clone)]
pub struct Session {
    pub(super) inner: Arc<Inner>,
    pub(super) at: Located,
    pub(super) version: Version,
    pub(super) payload: Bytes,
    pub(super) data: OnceLock<Data>,
    /// A field was asked for before all data was parsed.
    pub(super) asked: OnceLock<()>,
    pub(super) changed: bool,
    pub(super) through_grace: bool,
}

impl Session {
    /// Whose session it is.
    pub fn key(&self) -> &SessionKey {
        self.at.record.key()
    }

    /// The session's name, safe to show.
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

    /// Whether it was reached by an old id, during the [grace](super::SessionsBuilder::grace) of a rotation. Such a
    /// request should not rotate again: another response of the same page carries the new id already.
    pub fn through_grace(&self) -> bool {
        self.through_grace
    }

    /// The data.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if what the store holds is not what a serializer wrote.
    pub fn data(&self) -> Result<&Data> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let data = data::from_payload(self.inner.serializer.as_deref(), &self.payload)?;
        Ok(self.data.get_or_init(|| data))
    }

    /// The data as a type of your own.
    ///
    /// # Errors
    /// As [`data`](Self::data); [`InvalidInput`](ErrorKind::InvalidInput) if it has another shape.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T> {
        data::data_as(self.data()?)
    }

    /// One field of the data as a type of your own; `None` if there is no such field.
    ///
    /// # Errors
    /// As [`data_as`](Self::data_as).
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>> {
        // Whoever asks for one field often asks for no other, and need not pay for the rest. From the second on it pays.
        if self.data.get().is_none() && self.inner.serializer.is_none() && self.asked.set(()).is_ok() {
            let value = data::pick(&self.payload, Some(field))?;
            return value.map(data::value_as).transpose();
        }
        data::field_as(self.data()?, field)
    }

    /// Makes sure that the data is the JSON object that a session holds, for less than it costs to [have it](Self::data).
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn check(&self) -> Result<()> {
        match self.inner.serializer {
            None if self.data.get().is_none() => data::pick(&self.payload, None).map(drop),
            _ => self.data().map(drop),
        }
    }

    /// Sets a field, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data); [`InvalidInput`](ErrorKind::InvalidInput) if the value cannot be written as JSON.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Serialize) -> Result<()> {
        let value = data::to_value(value)?;
        self.data_mut()?.insert(field.into(), value);
        Ok(())
    }

    /// Takes a field out, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn remove(&mut self, field: &str) -> Result<Option<Value>> {
        Ok(self.data_mut()?.remove(field))
    }

    /// The data to change, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn data_mut(&mut self) -> Result<&mut Data> {
        self.data()?;
        self.changed = true;
        self.data.get_mut().ok_or_else(|| ErrorKind::Unexpected.into())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", self.handle())
            .field("created", &self.created())
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}
