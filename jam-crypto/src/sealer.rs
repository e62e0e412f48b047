//! The sealer: what the store keeps of a session's data is sealed and bound to that session and its id.

use jam_core::{Error, ErrorKind, Result, SealContext, SealDomain, Sealer};
use serde_json::{Map, Value};

use crate::KeyRing;
use crate::envelope::{self, Refused};
use crate::ring::Purpose;

/// Payloads sealed with AES-256-GCM, each bound to its place: what it is for, session key, record id, handle and what
/// [lasts](jam_core::Life::lasting) of its life are authenticated with it, so a payload that is moved to another session,
/// user or use does not open, nor one of the same session at another id. A rework seals it anew.
///
/// There is no plaintext path, unless [`accept_plaintext`](Self::accept_plaintext) opens one for a migration.
///
/// ```
/// use jam_core::{ErrorKind, Handle, RecordId, SealContext, SealDomain, Sealer, SessionKey};
/// use jam_crypto::{AesSealer, KeyRing, generate_aes_key};
///
/// let sealer = AesSealer::new(generate_aes_key()?.parse()?);
/// let record = |user: &str| RecordId::new(SessionKey::new(user)?, "an id");
/// let (user1, user2, handle) = (record("user1")?, record("user2")?, Handle::new("laptop")?);
/// let mine = SealContext::new(SealDomain::Data, &user1, &handle, None);
///
/// let sealed = sealer.seal(&mine, br#"{"role":"admin"}"#)?;
/// assert_eq!(sealer.open(&mine, &sealed)?, br#"{"role":"admin"}"#);
///
/// let theirs = SealContext::new(SealDomain::Data, &user2, &handle, None);
/// assert_eq!(sealer.open(&theirs, &sealed).unwrap_err().kind(), ErrorKind::Crypto);
/// assert_eq!(sealer.open(&mine, br#"{"role":"admin"}"#).unwrap_err().kind(), ErrorKind::Crypto);
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AesSealer {
    ring: KeyRing,
    accept_plaintext: bool,
}

impl AesSealer {
    /// Payloads sealed with the first key of this ring, and opened with any.
    pub fn new(ring: KeyRing) -> Self {
        Self {
            ring,
            accept_plaintext: false,
        }
    }

    /// Whether to open old data that was never sealed, while encryption is being turned on for sessions that exist.
    /// Default: `false`.
    ///
    /// With `true`, data that is a JSON object is given as it is; the next write of that session seals it. Notes of a
    /// rotation with grace, and anything but a JSON object, still have to be sealed.
    ///
    /// **The risk:** as long as it is on, whoever can write to the store can write any data into any session, and it is
    /// taken for genuine; sealing then hides data but vouches for none. Turn it off once the old sessions have been
    /// written or have expired, at the latest after one `max_lifetime`.
    #[must_use]
    pub fn accept_plaintext(mut self, accept: bool) -> Self {
        self.accept_plaintext = accept;
        self
    }

    fn may_be_plaintext(&self, domain: SealDomain, payload: &[u8]) -> bool {
        self.accept_plaintext
            && domain == SealDomain::Data
            && serde_json::from_slice::<Map<String, Value>>(payload).is_ok()
    }
}

impl Sealer for AesSealer {
    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) if the payload has 64 GiB or more, or is of a kind this version does not know;
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        with_fields(context, |fields| {
            envelope::seal(&self.ring, Purpose::Data, fields, plain)
        })
    }

    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) for everything that no key of the ring sealed for the same use of the same id of
    /// the same session. The message tells apart: plaintext or an unknown format, cut off, a key that is not in the ring,
    /// changed or moved.
    fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        with_fields(context, |fields| {
            match envelope::open(&self.ring, Purpose::Data, fields, sealed) {
                Ok(plain) => Ok(plain),
                // A sealed payload begins with its version, which no JSON text does.
                Err(Refused::Format) if self.may_be_plaintext(context.domain, sealed) => Ok(sealed.to_vec()),
                Err(refused) => Err(refusal(refused)),
            }
        })
    }
}

/// What a payload is bound to.
fn with_fields<T>(context: &SealContext<'_>, call: impl FnOnce(&[&[u8]]) -> Result<T>) -> Result<T> {
    let domain: &[u8] = match context.domain {
        SealDomain::Data => b"data",
        SealDomain::GraceNote => b"grace note",
        _ => {
            return Err(Error::new(
                ErrorKind::Crypto,
                "this version of jam-crypto does not know that kind of payload; use the version that belongs to jam-core",
            ));
        }
    };
    // The text of a life is never empty, so none cannot be taken for one.
    let life = context.life.map(|life| life.to_string()).unwrap_or_default();
    call(&[
        domain,
        context.key().as_str().as_bytes(),
        context.record.id().as_bytes(),
        context.handle.as_str().as_bytes(),
        life.as_bytes(),
    ])
}

fn refusal(refused: Refused) -> Error {
    Error::new(
        ErrorKind::Crypto,
        match refused {
            Refused::Format => {
                "a session's payload is not sealed: it is plaintext, or of a format that this version does not know; \
                 AesSealer::accept_plaintext opens plaintext while encryption is being turned on"
            }
            Refused::CutOff => "a session's sealed payload does not open: it is cut off",
            Refused::UnknownKey => {
                "a session's payload was sealed with a key that is not in the key ring; if keys were rotated, put the old \
                 key back, behind the first"
            }
            Refused::Changed => {
                "a session's sealed payload does not open: it was changed or cut off, or belongs to another session or id"
            }
        },
    )
}
