//! The default codec: a leaked store holds no usable id.

use super::inner::Parts;
use crate::{Described, ErrorKind, Handle, IdCodec, InnerId, RecordId, Result, Secret, SessionId, SessionKey};

/// The client holds the inner id; the store keeps it with the secret replaced by the first 128 bits of its SHA-256.
///
/// Who reads the store learns no id, and since what is looked up is a hash of what the client sent, the time a lookup
/// takes tells nothing about a secret.
///
/// The record's key is the session key; its id is `<unique>.<life>.<hash>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashedIds;

impl HashedIds {
    /// The record id of an inner id. Codecs that hide the inner id from the client use it as well.
    ///
    /// # Errors
    /// None for an inner id that was made by its constructors.
    pub fn record_id(&self, inner: &InnerId) -> Result<RecordId> {
        RecordId::new(inner.key.clone(), inner.visible_with(inner.secret.hash().as_str()))
    }
}

impl IdCodec for HashedIds {
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        let text = inner.to_text();
        // Key and secret stand at its ends, with what the record's id begins with between them.
        let visible = inner.key.as_str().len() + 1..text.len() - Secret::TEXT_LEN;
        let id = [&text[visible], inner.secret.hash().as_str()].concat();
        Ok((SessionId::new(text), RecordId::new(inner.key.clone(), id)?))
    }

    fn resolve(&self, public: &str) -> Result<RecordId> {
        Ok(self.locate(public)?.0)
    }

    fn locate(&self, public: &str) -> Result<(RecordId, Described)> {
        let read = || {
            let parts = Parts::of(public)?;
            let id = [parts.visible, parts.secret.hash().as_str()].concat();
            let record = RecordId::new(SessionKey::new(parts.key).ok()?, id).ok()?;
            let handle = Handle {
                text: record.shared_id(),
                len: parts.unique.len(),
            };
            Some((record, Described::new(handle, Some(parts.life))))
        };
        read().ok_or_else(|| ErrorKind::InvalidId.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        let read = || {
            let (named, hash) = id.id().rsplit_once('.')?;
            // A further dot is no digit of a life.
            let (unique, life) = named.split_once('.')?;
            if hash.is_empty() {
                return None;
            }
            let handle = Handle::at_start_of(id.shared_id(), unique.len()).ok()?;
            Some(Described::new(handle, Some(life.parse().ok()?)))
        };
        read().unwrap_or_else(|| Described::opaque(id))
    }

    fn keeps_life(&self) -> bool {
        true
    }
}
