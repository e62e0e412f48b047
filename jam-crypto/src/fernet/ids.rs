//! The id codec of jamlib's `is_session_crypt`.

use jam_core::{Described, ErrorKind, Handle, IdCodec, InnerId, PlainIds, RecordId, Result, SessionId, SessionKey};

use super::token;
use crate::KeyRing;

/// The longest text that can be an id; whatever is longer is refused unread.
const MAX_LEN: usize = token::text_len(SessionKey::MAX_LEN + 1 + Handle::MAX_LEN);

/// The client holds `J$_` and the Fernet token of `<key>:<unique>`, and the store keeps the same text: the layout of
/// Python's jamlib with `is_session_crypt`.
///
/// The id hides key and unique (not how long they are, nor when it was made: a token's time is in clear), and an id that
/// this ring did not seal is refused before any store is asked. For the rest it makes the trades of [`PlainIds`]:
/// **whoever reads the store can use every session in it**, there is no creation time, and so no absolute lifetime, no
/// ttl of a session's own and no rotation with grace, and the handle, a truncated SHA-256 of the id, changes with every
/// rework.
///
/// jamlib knows one key, so as long as it shares the store a ring of more than one key is good for reading what it wrote
/// before its key was changed, and the first has to be the one it has.
///
/// ```
/// use jam_core::{ErrorKind, Handle, IdCodec, InnerId, Life, SessionKey, Timestamp};
/// use jam_crypto::{FernetIds, generate_aes_key};
///
/// let ids = FernetIds::new(generate_aes_key()?.parse()?);
/// let life = Life::new(Timestamp::from_secs(1_760_000_000), None);
/// let inner = InnerId::generate(SessionKey::new("user1")?, Handle::new("laptop")?, life)?;
///
/// let (id, record) = ids.issue(&inner)?;
/// assert!(id.as_str().starts_with("J$_gAAAAA"));
/// assert_eq!(record.id(), id.as_str());
/// assert_eq!(ids.resolve(id.as_str())?, record);
/// assert_eq!(ids.resolve("user1:laptop").unwrap_err().kind(), ErrorKind::InvalidId);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FernetIds {
    ring: KeyRing,
}

impl FernetIds {
    /// Ids sealed with the first key of this ring, and opened with any. The keys are Fernet's: jamlib's
    /// `session_aes_secret`.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    fn key_of(&self, public: &str) -> Option<SessionKey> {
        if public.len() > MAX_LEN {
            return None;
        }
        let plain = token::open(&self.ring, public.as_bytes()).ok()?;
        let inside = PlainIds.resolve(str::from_utf8(&plain).ok()?).ok()?;
        Some(inside.key().clone())
    }
}

impl IdCodec for FernetIds {
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        let (plain, _) = PlainIds.issue(inner)?;
        let text = token::seal(&self.ring, plain.as_str().as_bytes())?;
        let record = RecordId::new(inner.key.clone(), &text)?;
        Ok((SessionId::new(text), record))
    }

    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) for every text that no key of the ring sealed; the error does not tell why.
    fn resolve(&self, public: &str) -> Result<RecordId> {
        let key = self.key_of(public).ok_or(ErrorKind::InvalidId)?;
        RecordId::new(key, public).map_err(|_| ErrorKind::InvalidId.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        PlainIds.describe(id)
    }

    fn keeps_life(&self) -> bool {
        PlainIds.keeps_life()
    }
}
