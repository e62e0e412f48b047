//! The sealer of jamlib's `is_session_crypt`.

use jam_core::{Error, ErrorKind, Result, SealContext, SealDomain, Sealer};

use super::token::{self, Refused};
use crate::KeyRing;

/// Payloads as Python's jamlib seals them: `J$_` and the Fernet token of the data.
///
/// As in jamlib a payload is **not bound to its session**: who can write to the store can move one to another session,
/// and it opens there. They can make none of their own, change none, and since the data is a JSON object, pass no id off
/// as data and no data as an id. Notes of a rotation with grace are refused both ways, for nothing would tell data from
/// them. Where Python does not share the store, take [`AesSealer`](crate::AesSealer).
///
/// ```
/// use jam_core::{ErrorKind, Handle, RecordId, SealContext, SealDomain, Sealer, SessionKey};
/// use jam_crypto::{FernetSealer, generate_aes_key};
///
/// let sealer = FernetSealer::new(generate_aes_key()?.parse()?);
/// let (record, handle) = (RecordId::new(SessionKey::new("user1")?, "user1:an-id")?, Handle::new("laptop")?);
/// let context = SealContext::new(SealDomain::Data, &record, &handle, None);
///
/// let sealed = sealer.seal(&context, br#"{"role":"admin"}"#)?;
/// assert!(sealed.starts_with(b"J$_gAAAAA"));
/// assert_eq!(sealer.open(&context, &sealed)?, br#"{"role":"admin"}"#);
/// assert_eq!(sealer.open(&context, br#"{"role":"admin"}"#).unwrap_err().kind(), ErrorKind::Crypto);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FernetSealer {
    ring: KeyRing,
}

impl FernetSealer {
    /// Payloads sealed with the first key of this ring, and opened with any. The keys are Fernet's: jamlib's
    /// `session_aes_secret`.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }
}

impl Sealer for FernetSealer {
    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) for anything but data; [`Unexpected`](ErrorKind::Unexpected) if the operating
    /// system gives no random bytes.
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        only_data(context)?;
        token::seal(&self.ring, plain).map(String::into_bytes)
    }

    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) for everything that no key of the ring sealed, and for anything but data.
    fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        only_data(context)?;
        token::open(&self.ring, sealed).map_err(|refused| {
            let message = match refused {
                Refused::Format => {
                    "a session's payload is no Fernet token: it is plaintext, cut off, or of another layout; jam and jamlib \
                     have to agree on `is_session_crypt`"
                }
                Refused::Unverified => {
                    "a session's sealed payload does not open: it was changed or cut off, or sealed with a key that is not in \
                     the key ring"
                }
            };
            Error::new(ErrorKind::Crypto, message)
        })
    }
}

fn only_data(context: &SealContext<'_>) -> Result<()> {
    if context.domain == SealDomain::Data {
        return Ok(());
    }
    let message = "jamlib's encryption can seal session data alone; rotation with grace needs AesSealer";
    Err(Error::new(ErrorKind::Crypto, message))
}
