//! Changing fields.

use jam_core::{Data, Error as CoreError, ErrorKind};
use serde::Serialize;
use serde_json::Value;

use super::Session;
use super::state::{Seat, apart};
use crate::Result;

impl Session {
    /// Sets a field. Without a session, one begins when the handler has answered.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`](crate::Error::Sessions) of kind `InvalidInput` if the value
    /// cannot be written as JSON, of kind `NotFound` if the session ended while this request worked with it.
    pub async fn insert(&self, field: impl Into<String>, value: impl Serialize) -> Result<()> {
        let value = to_value(value)?;
        let mut state = self.change().await?;
        self.settle(&mut state).await?;
        state.changes.set(field.into(), value);
        Ok(())
    }

    /// Takes a field out and gives what was there.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn remove(&self, field: &str) -> Result<Option<Value>> {
        let mut state = self.change().await?;
        self.settle(&mut state).await?;
        let mut before = state.value(field)?;
        if before.is_none() && state.is_cached() {
            self.settle_surely(&mut state).await?;
            before = state.value(field)?;
        }
        if before.is_some() {
            state.changes.remove(field);
        }
        Ok(before)
    }

    /// Sets every field of a struct of your own that differs from what the session has. Fields that are as they were are
    /// not set, so that a request at the same time that changes those wins with them.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); `InvalidInput` also if the value is no JSON object.
    pub async fn merge(&self, value: impl Serialize) -> Result<()> {
        let Value::Object(fields) = to_value(value)? else {
            let message = "only a JSON object, such as a struct or a map, can be merged into a session";
            return Err(CoreError::new(ErrorKind::InvalidInput, message).into());
        };
        let mut state = self.change().await?;
        self.settle(&mut state).await?;
        let mut view = self.view_of(&mut state).await?;
        let same = |view: &Data| fields.iter().any(|(field, value)| view.get(field) == Some(value));
        if state.is_cached() && same(&view) {
            self.settle_surely(&mut state).await?;
            view = self.view_of(&mut state).await?;
        }
        for (field, value) in fields {
            if view.get(&field) != Some(&value) {
                state.changes.set(field, value);
            }
        }
        Ok(())
    }

    /// Changes the newest data at once, whatever other requests write meanwhile: the answer where a new value depends on
    /// the old one, such as a counter. Gives what `change` gave in the round that counted. Field changes of this request so
    /// far are written with it, and it stays written if the handler fails later. Without a session, one begins.
    ///
    /// `change` may run several times, and should do nothing but change the data.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn modify<R>(&self, mut change: impl FnMut(&mut Data) -> R) -> Result<R> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        self.settle(&mut state).await?;
        let Some(id) = state.id(config).await.map_err(|error| self.error(error))? else {
            if !state.may_begin(config).await.map_err(|error| self.error(error))? {
                return Err(CoreError::from(ErrorKind::NotFound).into());
            }
            let mut data = Data::new();
            state.changes.apply(&mut data);
            let outcome = change(&mut data);
            self.begin(&mut state, data).await?;
            state.changes.clear();
            return Ok(outcome);
        };
        let changes = &state.changes;
        let modified = config.sessions.modify(&id, |data| {
            changes.apply(data);
            change(data)
        });
        match apart(modified).await {
            Ok(outcome) => {
                state.changes.clear();
                state.renew();
                // Read again if need be: somebody else's changes are in it now.
                state.unload();
                Ok(outcome)
            }
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    state.vanish();
                }
                Err(self.error(error))
            }
        }
    }

    /// Finds out whether there is a session to change.
    async fn settle(&self, state: &mut super::State) -> Result<()> {
        let loaded = state.load(self.shared.config.inner()).await;
        loaded.map_err(|error| self.error(error))?;
        still_there(state)
    }

    /// The same, past any cache, before a change is left out since the session is as it would make it.
    async fn settle_surely(&self, state: &mut super::State) -> Result<()> {
        let loaded = state.load_surely(self.shared.config.inner()).await;
        loaded.map_err(|error| self.error(error))?;
        still_there(state)
    }

    async fn view_of(&self, state: &mut super::State) -> Result<Data> {
        let view = state.view(self.shared.config.inner()).await;
        Ok(view.map_err(|error| self.error(error))?.unwrap_or_default())
    }

    /// Begins a visitor's session.
    async fn begin(&self, state: &mut super::State, data: Data) -> Result<()> {
        let config = self.shared.config.inner();
        let created = apart(config.sessions.create_visitor(&config.visitor_prefix, data)).await;
        state.begin(created.map_err(|error| self.error(error))?);
        Ok(())
    }
}

fn still_there(state: &super::State) -> Result<()> {
    match state.seat {
        Seat::Ended => Err(CoreError::from(ErrorKind::NotFound).into()),
        _ => Ok(()),
    }
}

/// How deep a field may be nested: one level less than the JSON parser goes, for the object that all of them stand in.
const MAX_DEPTH: usize = 126;

/// Refused now and not when the handler has answered, which could then not say so any more.
fn to_value(value: impl Serialize) -> Result<Value> {
    let invalid = |message| CoreError::new(ErrorKind::InvalidInput, message);
    let value = serde_json::to_value(value)
        .map_err(|_| invalid("the value cannot be written as JSON (are all map keys texts?)"))?;
    if is_within(MAX_DEPTH, &value) {
        Ok(value)
    } else {
        Err(invalid("the value is nested deeper than 126 levels, and could not be read back").into())
    }
}

fn is_within(depth: usize, value: &Value) -> bool {
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(|value| is_within(depth - 1, value)),
        Value::Object(fields) => depth > 0 && fields.values().all(|value| is_within(depth - 1, value)),
        _ => true,
    }
}
