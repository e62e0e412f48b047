//! The ids of Python's jamlib, for sharing its storage.

use crate::{Described, ErrorKind, Handle, IdCodec, InnerId, RecordId, Result, SessionId, SessionKey};

/// The client holds `<key>:<unique>`, and so does the store: the layout of Python's jamlib.
///
/// It trades promises for compatibility. Whoever reads the store can use every session in it. There is no secret
/// besides `unique`, so an id is as strong as its id factory (a version 4 UUID has 122 random bits; OWASP ASVS 5.0,
/// 7.2.3 asks for 128). There is no creation time, so an absolute lifetime, a ttl of a session's own and rotation with
/// grace are configuration errors. The handle is a truncated SHA-256 of the id and changes with every rework, so a
/// session that is reworked while it is revoked lives on under its new handle.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainIds;

impl IdCodec for PlainIds {
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        let text = format!("{}:{}", inner.key.as_str(), inner.unique);
        let record = RecordId::new(inner.key.clone(), &text)?;
        Ok((SessionId::new(text), record))
    }

    fn resolve(&self, public: &str) -> Result<RecordId> {
        let read = || {
            let (key, unique) = public.rsplit_once(':')?;
            Handle::new(unique).ok()?;
            RecordId::new(SessionKey::new(key).ok()?, public).ok()
        };
        read().ok_or_else(|| ErrorKind::InvalidId.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        Described::opaque(id)
    }

    fn keeps_life(&self) -> bool {
        false
    }
}
