//! One session as JSON text, the same in the journal and in the document.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jam_core::memory::Slot;
use jam_core::{Record, RecordId, SessionKey, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::payload::{Form, compact};

/// A record, where it is kept, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) id: RecordId,
    pub(super) record: Record,
    form: Form,
}

impl Put {
    /// Looks at the payload to find out how it is written; callers do that in their own time, before they queue.
    pub(super) fn new(id: &RecordId, record: &Record) -> Self {
        Self {
            id: id.clone(),
            form: Form::of(record),
            record: record.clone(),
        }
    }

    /// The record as the table keeps it.
    pub(super) fn slot(&self, version: u64) -> Slot {
        Slot {
            payload: self.record.payload.clone(),
            expires_at: self.record.expires_at,
            version,
        }
    }

    /// Writes `{"key":…,"id":…,"expires_at":…,"data":{…}}`, with `"data_base64":"…"` for a payload that cannot be
    /// embedded.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write_id_fields(out, &self.id)?;
        if let Some(at) = self.record.expires_at {
            write!(out, ",\"expires_at\":{}", at.as_millis())?;
        }
        match self.form {
            Form::Json => {
                out.extend_from_slice(b",\"data\":");
                out.extend_from_slice(&self.record.payload);
            }
            Form::Base64 => write!(out, ",\"data_base64\":\"{}\"", STANDARD.encode(&self.record.payload))?,
        }
        out.push(b'}');
        Ok(())
    }
}

/// Writes `{"key":…,"id":…}`.
pub(super) fn write_id(out: &mut Vec<u8>, id: &RecordId) -> io::Result<()> {
    write_id_fields(out, id)?;
    out.push(b'}');
    Ok(())
}

/// Writes a JSON string.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    Ok(serde_json::to_writer(out, text)?)
}

fn write_id_fields(out: &mut Vec<u8>, id: &RecordId) -> io::Result<()> {
    out.extend_from_slice(b"{\"key\":");
    write_text(out, id.key().as_str())?;
    out.extend_from_slice(b",\"id\":");
    write_text(out, id.id())
}

/// A session as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionText<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    expires_at: Option<u64>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
}

impl SessionText<'_> {
    /// The record, if the text makes one.
    pub(super) fn read(&self) -> Option<Put> {
        let (payload, form) = match (self.data, &self.data_base64) {
            (Some(data), None) => (embedded(data.get())?, Form::Json),
            (None, Some(text)) => (STANDARD.decode(text.as_bytes()).ok()?.into(), Form::Base64),
            _ => return None,
        };
        let expires_at = self.expires_at.map(Timestamp::from_millis);
        Some(Put {
            id: record_id(&self.key, &self.id)?,
            record: Record::new(payload, expires_at),
            form,
        })
    }
}

/// The payload of an embedded object. What spreads over lines was put there by an editor and is brought back into one.
fn embedded(text: &str) -> Option<Bytes> {
    if !text.starts_with('{') {
        return None;
    }
    if text.contains(['\n', '\r']) {
        return Some(compact(text).into());
    }
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

/// An id as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdText<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl IdText<'_> {
    /// The id, if the text makes one.
    pub(super) fn read(&self) -> Option<RecordId> {
        record_id(&self.key, &self.id)
    }
}

fn record_id(key: &str, id: &str) -> Option<RecordId> {
    RecordId::new(SessionKey::new(key).ok()?, id).ok()
}
