//! The id codec: the client holds a sealed inner id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::{Described, ErrorKind, HashedIds, IdCodec, InnerId, RecordId, Result, SessionId};

use crate::KeyRing;
use crate::envelope::{self, OVERHEAD};
use crate::ring::Purpose;

const PREFIX: &str = "J$_";
/// The longest text that can be an id; whatever is longer is refused unread.
const MAX_LEN: usize = PREFIX.len() + ((OVERHEAD + InnerId::MAX_LEN) * 4).div_ceil(3);

/// Session ids that are sealed: the client holds `J$_` and the base64url of the AES-256-GCM sealed inner id, the store
/// keeps what it keeps with [`HashedIds`].
///
/// So the id also hides the session key, the handle and the time of creation (not how long the key is), and an id that
/// this ring did not seal is refused before any store is asked. One inner id sealed twice gives two texts, but nobody
/// without a key can make a second text from a first: the encoding is canonical, and every bit is authenticated.
///
/// Since record ids are the same, switching between [`HashedIds`] and this keeps every record, its handle and its
/// listing; clients that hold an id of the other kind log in again.
///
/// ```
/// use jam_core::{ErrorKind, Handle, HashedIds, IdCodec, InnerId, Life, SessionKey, Timestamp};
/// use jam_crypto::{AesIds, KeyRing, generate_aes_key};
///
/// let ids = AesIds::new(generate_aes_key()?.parse()?);
/// let life = Life::new(Timestamp::from_secs(1_760_000_000), None);
/// let inner = InnerId::generate(SessionKey::new("user1")?, Handle::new("laptop")?, life)?;
///
/// let (id, record) = ids.issue(&inner)?;
/// assert!(id.as_str().starts_with("J$_"));
/// assert_eq!(ids.resolve(id.as_str())?, record);
/// assert_eq!(record, HashedIds.record_id(&inner)?);
///
/// // The inner id itself is no id here.
/// let (plain, _) = HashedIds.issue(&inner)?;
/// assert_eq!(ids.resolve(plain.as_str()).unwrap_err().kind(), ErrorKind::InvalidId);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AesIds {
    ring: KeyRing,
}

impl AesIds {
    /// Ids sealed with the first key of this ring, and opened with any.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }
}

impl IdCodec for AesIds {
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        let (plain, record) = HashedIds.issue(inner)?;
        let sealed = envelope::seal(&self.ring, Purpose::Id, &[], plain.as_str().as_bytes())?;
        let mut text = String::with_capacity(PREFIX.len() + (sealed.len() * 4).div_ceil(3));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&sealed, &mut text);
        Ok((SessionId::new(text), record))
    }

    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) for every text that no key of the ring sealed; the error does not tell why.
    fn resolve(&self, public: &str) -> Result<RecordId> {
        Ok(self.locate(public)?.0)
    }

    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) for every text that no key of the ring sealed; the error does not tell why.
    fn locate(&self, public: &str) -> Result<(RecordId, Described)> {
        let open = || {
            if public.len() > MAX_LEN {
                return None;
            }
            let mut sealed = URL_SAFE_NO_PAD.decode(public.strip_prefix(PREFIX)?).ok()?;
            let plain = envelope::open_in_place(&self.ring, Purpose::Id, &[], &mut sealed).ok()?;
            HashedIds.locate(str::from_utf8(plain).ok()?).ok()
        };
        open().ok_or_else(|| ErrorKind::InvalidId.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        HashedIds.describe(id)
    }

    fn keeps_life(&self) -> bool {
        HashedIds.keeps_life()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AesKey;

    #[test]
    fn what_opens_but_is_no_inner_id_is_refused() {
        let ids = AesIds::new(AesKey::generate().unwrap().into());
        let good = "user1:laptop.t3uznk.AAECAwQFBgcICQoLDA0ODw";
        for (plain, accepted) in [
            (good.as_bytes(), true),
            (&good.as_bytes()[1..], true),
            (&good.as_bytes()[..good.len() - 1], false),
            (b"", false),
            (b"user1:laptop", false),
            (b"user1:laptop.0t3uznk.AAECAwQFBgcICQoLDA0ODw", false),
            (b":laptop.t3uznk.AAECAwQFBgcICQoLDA0ODw", false),
            (b"\xff:laptop.t3uznk.AAECAwQFBgcICQoLDA0ODw", false),
        ] {
            let sealed = envelope::seal(&ids.ring, Purpose::Id, &[], plain).unwrap();
            let resolved = ids.resolve(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)));
            assert_eq!(resolved.map_err(|error| error.kind()).is_ok(), accepted, "{plain:?}");
        }
    }
}
