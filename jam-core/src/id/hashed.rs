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
        Ok(self.issue(inner)?.1)
    }
}

/// Room for the text of a record's id, for a moment: the id itself shares its text, and so copies it once more.
struct RecordText([u8; InnerId::MAX_VISIBLE + Secret::TEXT_LEN]);

impl RecordText {
    const fn new() -> Self {
        Self([0; InnerId::MAX_VISIBLE + Secret::TEXT_LEN])
    }

    fn join(&mut self, visible: &str, hash: &str) -> Option<&str> {
        let (first, rest) = self.0.split_at_mut_checked(visible.len())?;
        first.copy_from_slice(visible.as_bytes());
        rest.get_mut(..hash.len())?.copy_from_slice(hash.as_bytes());
        str::from_utf8(&self.0[..visible.len() + hash.len()]).ok()
    }
}

impl IdCodec for HashedIds {
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        // The record's id is what stands behind the key, with the hash where the secret comes to stand.
        let mut text = inner.text_with(inner.secret.hash().as_str());
        let record = RecordId::new(inner.key.clone(), &text[inner.key.as_str().len() + 1..])?;
        text.truncate(text.len() - Secret::TEXT_LEN);
        text.push_str(inner.secret.to_text().as_str());
        Ok((SessionId::new(text), record))
    }

    fn resolve(&self, public: &str) -> Result<RecordId> {
        Ok(self.locate(public)?.0)
    }

    fn locate(&self, public: &str) -> Result<(RecordId, Described)> {
        let read = || {
            let parts = Parts::of(public)?;
            let mut id = RecordText::new();
            let id = id.join(parts.visible, parts.secret.hash().as_str())?;
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
