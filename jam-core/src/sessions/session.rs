//! A loaded session.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::data::{self, Data};
use super::fields::Fields;
use super::{Inner, Located};
use crate::{ErrorKind, Handle, Life, Result, SessionKey, Timestamp, Version};

/// A session as it was when it was loaded. Changes to it stay in memory until
/// [`Sessions::commit`](super::Sessions::commit).
///
/// The data is parsed when it is first asked for, so a request that only checks that there is a session does not pay
/// for it. `Debug` shows the handle and nothing of the data.
#[derive(Clone)]
pub struct Session(pub(super) Box<Loaded>);

/// What is in it, in a place of its own: a session passes through many hands before a handler has it.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) inner: Arc<Inner>,
    pub(super) at: Located,
    pub(super) version: Version,
    pub(super) payload: Bytes,
    /// The fields of the payload, once one was asked for or set. Counts while the data was not parsed as a whole.
    pub(super) fields: OnceLock<Fields>,
    /// Once it is there, it is what counts.
    pub(super) data: OnceLock<Data>,
    pub(super) changed: bool,
    pub(super) through_grace: bool,
    pub(super) cached: bool,
}

impl Session {
    /// Whose session it is.
    pub fn key(&self) -> &SessionKey {
        self.0.at.record.key()
    }

    /// The session's name, safe to show.
    pub fn handle(&self) -> &Handle {
        &self.0.at.described.handle
    }

    /// When it began, to the second; `None` if its id does not tell ([`PlainIds`](crate::PlainIds)).
    pub fn created(&self) -> Option<Timestamp> {
        self.life().map(|life| life.created())
    }

    /// When its present id was issued, to the second: at the last rework or login, or when it began; `None` if its id
    /// does not tell ([`PlainIds`](crate::PlainIds)).
    pub fn issued(&self) -> Option<Timestamp> {
        self.life().map(|life| life.issued())
    }

    /// Its life: when it began, and the ttl of its own; `None` if its id does not tell ([`PlainIds`](crate::PlainIds)).
    pub fn life(&self) -> Option<Life> {
        self.0.at.described.life
    }

    /// Whether it was reached by an old id, during the [grace](super::SessionsBuilder::grace) of a rotation. Such a
    /// request should not rotate again: another response of the same page carries the new id already.
    pub fn through_grace(&self) -> bool {
        self.0.through_grace
    }

    /// Whether a cache had it, so that the store may have a newer one. A [commit](super::Sessions::commit) finds that out by itself;
    /// what is decided by it without one, such as that there is nothing to change, is better asked of
    /// [`get_fresh`](super::Sessions::get_fresh).
    pub fn is_cached(&self) -> bool {
        self.0.cached
    }

    /// The data.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if what the store holds is not what a serializer wrote.
    pub fn data(&self) -> Result<&Data> {
        if let Some(data) = self.0.data.get() {
            return Ok(data);
        }
        let serializer = self.0.inner.serializer.as_deref();
        let data = match self.0.fields.get() {
            Some(fields) if self.0.changed => data::from_payload(serializer, &fields.to_payload())?,
            _ => data::from_payload(serializer, &self.0.payload)?,
        };
        Ok(self.0.data.get_or_init(|| data))
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
        match self.fields()? {
            Some(fields) => fields.get(field)?.map(data::value_as).transpose(),
            None => data::field_as(self.data()?, field),
        }
    }

    /// Makes sure that the data is the JSON object that a session holds, for less than it costs to [have it](Self::data).
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn check(&self) -> Result<()> {
        match self.fields()? {
            Some(_) => Ok(()),
            None => self.data().map(drop),
        }
    }

    /// The fields, if the data was not parsed as a whole and need not be.
    fn fields(&self) -> Result<Option<&Fields>> {
        if self.0.data.get().is_some() || self.0.inner.serializer.is_some() {
            return Ok(None);
        }
        if let Some(fields) = self.0.fields.get() {
            return Ok(Some(fields));
        }
        let fields = Fields::of(&self.0.payload)?;
        Ok(Some(self.0.fields.get_or_init(|| fields)))
    }

    /// The same for a change.
    fn fields_mut(&mut self) -> Result<Option<&mut Fields>> {
        let few = self.fields()?.is_some_and(|fields| !fields.are_many());
        Ok(if few { self.0.fields.get_mut() } else { None })
    }

    /// What a store is to keep of it.
    pub(super) fn to_payload(&self) -> Result<Vec<u8>> {
        match self.fields()? {
            Some(fields) => Ok(fields.to_payload()),
            None => data::to_payload(self.0.inner.serializer.as_deref(), self.data()?),
        }
    }

    /// Sets a field, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data); [`InvalidInput`](ErrorKind::InvalidInput) if the value cannot be written as JSON.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Serialize) -> Result<()> {
        if let Some(fields) = self.fields_mut()? {
            fields.set(field.into(), &value)?;
            self.0.changed = true;
        } else {
            let value = data::to_value(value)?;
            self.data_mut()?.insert(field.into(), value);
        }
        Ok(())
    }

    /// Takes a field out, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn remove(&mut self, field: &str) -> Result<Option<Value>> {
        let Some(fields) = self.fields_mut()? else {
            return Ok(self.data_mut()?.remove(field));
        };
        let removed = fields.remove(field)?;
        self.0.changed = true;
        Ok(removed)
    }

    /// The data to change, for the next commit.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub fn data_mut(&mut self) -> Result<&mut Data> {
        self.data()?;
        self.0.changed = true;
        self.0.data.get_mut().ok_or_else(|| ErrorKind::Unexpected.into())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", self.handle())
            .field("created", &self.created())
            .field("changed", &self.0.changed)
            .finish_non_exhaustive()
    }
}
