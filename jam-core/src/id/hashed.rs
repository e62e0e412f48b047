//! The default codec: a leaked store holds no usable id.

use crate::{Described, ErrorKind, Handle, IdCodec, InnerId, RecordId, Result, SessionId};

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
        record_of(inner, &format!("{}.{}.", inner.unique, inner.life))
    }
}

/// The record id of an inner id whose handle and life are written already, with a `.` behind each.
fn record_of(inner: &InnerId, visible: &str) -> Result<RecordId> {
    RecordId::new(inner.key.clone(), [visible, &inner.secret.hash()].concat())
}

impl IdCodec for HashedIds {
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        Ok((SessionId::new(inner.to_text()), self.record_id(inner)?))
    }

    fn resolve(&self, public: &str) -> Result<RecordId> {
        let inner = InnerId::parse(public)?;
        // Every inner id is written in one way only, so what was read is what would be written.
        let visible = public
            .rsplit_once(':')
            .and_then(|(_, rest)| Some(&rest[..=rest.rfind('.')?]));
        record_of(&inner, visible.ok_or(ErrorKind::InvalidId)?).map_err(|_| ErrorKind::InvalidId.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        let read = || {
            let mut parts = id.id().split('.');
            let (unique, life, hash) = (parts.next()?, parts.next()?, parts.next()?);
            if hash.is_empty() || parts.next().is_some() {
                return None;
            }
            Some(Described::new(Handle::new(unique).ok()?, Some(life.parse().ok()?)))
        };
        read().unwrap_or_else(|| Described::opaque(id))
    }

    fn keeps_life(&self) -> bool {
        true
    }
}
