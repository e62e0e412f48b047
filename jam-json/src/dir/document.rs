//! The session file: one readable JSON document whose checksum notices every flipped bit and every missing byte.
//!
//! ```json
//! {"jam_session":1,"crc32":"1f0c5d2a","len":97,"key":"user1","id":"user1:...","expires_at":1763623195000,"data":{"role":"admin"}}
//! ```
//!
//! `crc32` is the CRC-32 of everything behind it up to the end of the document, `len` the number of bytes behind its
//! own comma, the final newline included. `data` is the payload as it is if it is a JSON object that [`Form`] embeds;
//! any other payload stands in `data_base64`. A session that never expires has no `expires_at`. `JsonFile` uses the
//! same names.
//!
//! While a session gets a new id its file holds two documents: the first is the session under its new id and says in
//! `from` which file it comes from; the second is the session as it is until then. Which of them is meant is decided by
//! the name under which the file is met, so renaming the file is the one step in which the old id ends and the new one
//! begins.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jam_core::{Entry, Record, RecordId, SessionKey, Stored, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::names::Name;
use crate::payload::Form;

const OPENING: &[u8] = br#"{"jam_session":1,"crc32":""#;
const ANY_FORMAT: &[u8] = br#"{"jam_session":"#;
const LEN: &[u8] = br#"","len":"#;

/// What stands before the payload.
#[derive(Serialize)]
struct Head<'a> {
    key: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

/// A whole document as it is read.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    from: Option<String>,
    expires_at: Option<u64>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
}

/// Why a session file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Bytes are missing or changed.
    Bytes,
    /// Its format is none that this version knows.
    Format,
    /// It holds another session than the one it is named for.
    Misplaced,
}

impl Damage {
    /// In words, with what would help.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Bytes => {
                "a session file is damaged: its bytes do not match its checksum; restore it from a backup, or remove it to \
                 end the session"
            }
            Self::Format => {
                "a session file has a format that this version does not know; it is damaged, or was written by a newer \
                 version"
            }
            Self::Misplaced => {
                "a session file holds another session than the one it is named for; it was copied or renamed by hand; \
                 remove it"
            }
        }
    }
}

/// A session as its file tells it.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: RecordId,
    pub(super) record: Record,
    from: Option<String>,
}

impl Session {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.record.expires_at.is_none_or(|at| at > now)
    }

    /// What a load gives. The version is the payload itself: a write of the same bytes leaves it as it is.
    pub(super) fn stored(&self) -> Stored {
        Stored::new(
            self.record.payload.clone(),
            Version::from_content(self.record.payload.clone()),
        )
        .ending(self.record.expires_at.into())
    }

    /// What a listing or a scan gives.
    pub(super) fn entry(&self) -> Entry {
        Entry::new(self.id.clone(), self.stored(), self.record.expires_at)
    }

    pub(super) fn has_version(&self, version: &Version) -> bool {
        version.as_content() == Some(&self.record.payload)
    }
}

/// The document of a session.
pub(super) fn write(id: &RecordId, record: &Record) -> serde_json::Result<Vec<u8>> {
    document(id, record, None)
}

/// The file of a session between two ids, and the length of its first document, which is all that is needed once the
/// file has its new name.
pub(super) fn write_move(
    (from, now): (&RecordId, &Record),
    (to, then): (&RecordId, &Record),
) -> serde_json::Result<(Vec<u8>, usize)> {
    let mut file = document(to, then, Some(Name::of(from.id())))?;
    let first = file.len();
    file.append(&mut document(from, now, None)?);
    Ok((file, first))
}

fn document(id: &RecordId, record: &Record, from: Option<Name>) -> serde_json::Result<Vec<u8>> {
    let head = Head {
        key: id.key().as_str(),
        id: id.id(),
        from: from.map(|name| name.to_string()),
        expires_at: record.expires_at.map(Timestamp::as_millis),
    };
    let mut body = serde_json::to_vec(&head)?;
    body.pop(); // the brace that closes it comes behind the payload
    match Form::of(record) {
        Form::Json => {
            body.extend_from_slice(b",\"data\":");
            body.extend_from_slice(&record.payload);
        }
        Form::Base64 => {
            body.extend_from_slice(b",\"data_base64\":\"");
            body.extend_from_slice(STANDARD.encode(&record.payload).as_bytes());
            body.push(b'"');
        }
    }
    body.extend_from_slice(b"}\n");
    // The brace that opens the body is part of the opening.
    let body = &body[1..];
    let len = body.len().to_string();
    let covered: [&[u8]; 4] = [LEN, len.as_bytes(), b",", body];
    let mut crc = crc32fast::Hasher::new();
    for part in covered {
        crc.update(part);
    }
    let mut document = Vec::with_capacity(OPENING.len() + 40 + body.len());
    document.extend_from_slice(OPENING);
    document.extend_from_slice(format!("{:08x}", crc.finalize()).as_bytes());
    for part in covered {
        document.extend_from_slice(part);
    }
    Ok(document)
}

/// The session that a file holds under its own name; `is_meant` knows the id that name stands for.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read(file: &Bytes, name: Name, is_meant: impl Fn(&RecordId) -> bool) -> Result<Session, Damage> {
    let (first, rest) = take(file)?;
    if is_meant(&first.id) {
        // Behind a session that has moved here there may still be what it was before.
        return if first.from.is_some() || rest.is_empty() {
            Ok(first)
        } else {
            Err(Damage::Bytes)
        };
    }
    if first.from.is_none_or(|from| from != name.to_string()) {
        return Err(Damage::Misplaced);
    }
    let (second, rest) = take(&rest)?;
    if !rest.is_empty() {
        return Err(Damage::Bytes);
    }
    if is_meant(&second.id) {
        Ok(second)
    } else {
        Err(Damage::Misplaced)
    }
}

/// The first document of these bytes, and what follows it.
fn take(bytes: &Bytes) -> Result<(Session, Bytes), Damage> {
    let Some(rest) = bytes.strip_prefix(OPENING) else {
        return Err(if bytes.starts_with(ANY_FORMAT) {
            Damage::Format
        } else {
            Damage::Bytes
        });
    };
    let (crc, covered) = rest.split_at_checked(8).ok_or(Damage::Bytes)?;
    let end = covered_len(covered).ok_or(Damage::Bytes)?;
    let covered = covered.get(..end).ok_or(Damage::Bytes)?;
    if format!("{:08x}", crc32fast::hash(covered)).as_bytes() != crc {
        return Err(Damage::Bytes);
    }
    let end = OPENING.len() + crc.len() + end;
    let body: Body<'_> = serde_json::from_slice(&bytes[..end]).map_err(|_| Damage::Format)?;
    let payload = match (body.data, &body.data_base64) {
        (Some(data), None) => bytes.slice_ref(data.get().as_bytes()),
        (None, Some(text)) => STANDARD.decode(text.as_bytes()).map_err(|_| Damage::Format)?.into(),
        _ => return Err(Damage::Format),
    };
    let session = Session {
        record: Record::new(payload, body.expires_at.map(Timestamp::from_millis)),
        id: SessionKey::new(body.key)
            .and_then(|key| RecordId::new(key, body.id))
            .map_err(|_| Damage::Format)?,
        from: body.from,
    };
    Ok((session, bytes.slice(end..)))
}

/// How many bytes the checksum covers, by what the document says of its length.
fn covered_len(covered: &[u8]) -> Option<usize> {
    let rest = covered.strip_prefix(LEN)?;
    let digits = rest.iter().take(19).position(|byte| *byte == b',')?;
    let len: usize = str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    (LEN.len() + digits + 1).checked_add(len)
}
