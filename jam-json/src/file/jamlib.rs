//! The import of a `sessions.json` that Python's jamlib (TinyDB) wrote.

use std::collections::BTreeMap;
use std::path::Path;

use jam_core::memory::{Slot, Table};
use jam_core::{Bytes, Error, ErrorKind, RecordId, Result, SessionKey};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TinyDb {
    #[serde(rename = "_default")]
    sessions: BTreeMap<String, Session>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    key: String,
    #[serde(rename = "session_id")]
    id: String,
    data: String,
    #[serde(rename = "created_at")]
    _created_at: f64,
}

/// Puts jamlib's sessions into the table: under the record id that [`PlainIds`](jam_core::PlainIds) makes of their key
/// and id, with the text of their data as payload, byte for byte, and without expiry, since jamlib has none. Gives
/// their number.
///
/// # Errors
/// [`Config`](ErrorKind::Config) if the file holds anything that is no session of jamlib.
pub(super) fn read(file: &Path, bytes: &[u8], table: &Table) -> Result<u64> {
    let database: TinyDb = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        refused(file, &format!("at {place} it holds something else besides"))
    })?;
    for (number, session) in &database.sessions {
        let number = number.escape_debug();
        let Some(id) = record_id(session) else {
            return Err(refused(
                file,
                &format!("key or id of document {number} is out of bounds"),
            ));
        };
        let slot = Slot {
            payload: Bytes::copy_from_slice(session.data.as_bytes()),
            expires_at: None,
            version: 0,
        };
        if !table.write(id.key(), |shard| {
            let new = shard.get(&id).is_none();
            shard.put(&id, slot);
            new
        }) {
            return Err(refused(
                file,
                &format!("the session of document {number} is there twice"),
            ));
        }
    }
    Ok(database.sessions.len() as u64)
}

fn record_id(session: &Session) -> Option<RecordId> {
    let key = SessionKey::new(&session.key).ok()?;
    RecordId::new(key, format!("{}:{}", session.key, session.id)).ok()
}

fn refused(file: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "{} looks like a sessions file of Python's jamlib, but cannot be imported: {why}; nothing was changed",
            file.display()
        ),
    )
}
