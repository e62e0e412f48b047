//! The key ring: the first key seals, all of them open.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hkdf::Hkdf;
use jam_core::{Error, ErrorKind, Result};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::AesKey;
use crate::fernet::TokenKey;

const ID_LABEL: &[u8] = b"jam-crypto v1 id";
const DATA_LABEL: &[u8] = b"jam-crypto v1 data";
const HINT_LABEL: &[u8] = b"jam-crypto v1 hint";

/// How many bytes of a sealed text say which key sealed it.
pub(crate) const HINT_LEN: usize = 4;

/// One or more keys. The first seals; all open. That is how keys rotate without logging anyone out, see
/// [rotation](crate#rotating-keys).
///
/// Cloning is cheap, clones share the keys. `Debug` shows how many there are and nothing else. What a ring keeps of them
/// is wiped when the last clone is dropped.
///
/// ```
/// use jam_crypto::{KeyRing, generate_aes_key};
///
/// let old = generate_aes_key()?;
/// let new = generate_aes_key()?;
/// let ring = KeyRing::parse(&[&new, &old])?;
/// assert_eq!(ring.len(), 2);
///
/// // The same from one text, as an environment variable holds it.
/// let ring: KeyRing = format!("{new}, {old}").parse()?;
/// assert_eq!(ring.len(), 2);
///
/// assert!(KeyRing::parse(&[&new, &new]).is_err());
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Arc<Keys>);

struct Keys {
    sealing: Placed,
    older: Vec<Placed>,
}

/// In a place of its own: a key that moves leaves a copy behind that nobody wipes.
type Placed = Box<RingKey>;

impl KeyRing {
    /// A ring of these keys; the first seals.
    ///
    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) if there is none, or one of them twice.
    pub fn new(keys: impl IntoIterator<Item = AesKey>) -> Result<Self> {
        let mut ring: Vec<Placed> = Vec::new();
        for key in keys {
            let key = Box::new(RingKey::new(&key));
            // Fingerprints are no secrets, so comparing them may take any time it likes.
            if let Some(index) = ring.iter().position(|other| other.fingerprint == key.fingerprint) {
                return Err(Error::new(
                    ErrorKind::Crypto,
                    format!(
                        "a key ring has the same key twice, as key {} and as key {}; leave one of them out",
                        index + 1,
                        ring.len() + 1
                    ),
                ));
            }
            ring.push(key);
        }
        let mut ring = ring.into_iter();
        let sealing = ring.next().ok_or_else(|| {
            Error::new(
                ErrorKind::Crypto,
                "a key ring has no key; it needs one to seal with, and generate_aes_key() makes one",
            )
        })?;
        Ok(Self(Arc::new(Keys {
            sealing,
            older: ring.collect(),
        })))
    }

    /// A ring of the keys in these texts, one in each; the first seals.
    ///
    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) if a text is no key ([`AesKey`]'s error, with the context `key=2 of 3`), if there
    /// is none, or one of them twice.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self> {
        let keys = texts.iter().enumerate().map(|(index, text)| {
            text.as_ref()
                .parse::<AesKey>()
                .map_err(|error| error.with("key", format!("{} of {}", index + 1, texts.len())))
        });
        Self::new(keys.collect::<Result<Vec<_>>>()?)
    }

    /// How many keys there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a ring is never empty")]
    pub fn len(&self) -> usize {
        1 + self.0.older.len()
    }

    /// The key that seals.
    pub(crate) fn sealing(&self) -> &RingKey {
        &self.0.sealing
    }

    /// All keys, the one that seals first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.0.sealing).chain(&self.0.older).map(|key| &**key)
    }

    /// The keys that may have sealed what bears this hint: one or none, unless two hints happen to be the same.
    pub(crate) fn by_hint(&self, hint: [u8; HINT_LEN]) -> impl Iterator<Item = &RingKey> {
        self.all().filter(move |key| key.hint() == hint)
    }
}

/// A ring of one key.
impl From<AesKey> for KeyRing {
    fn from(key: AesKey) -> Self {
        Self(Arc::new(Keys {
            sealing: Box::new(RingKey::new(&key)),
            older: Vec::new(),
        }))
    }
}

impl FromStr for KeyRing {
    type Err = Error;

    /// From one text with a key, or several separated by commas; white space around each is ignored.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(&text.split(',').map(str::trim).collect::<Vec<_>>())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// What is sealed, and so which of the keys derived from one key is used.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Id,
    Data,
}

/// What a ring keeps of one key: for each purpose the state of HMAC after HKDF's extract, so that sealing and opening
/// begin at the expand; and the key of Fernet tokens, which are not derived but use it as it is.
pub(crate) struct RingKey {
    fingerprint: [u8; 32],
    id: Hkdf<Sha256>,
    data: Hkdf<Sha256>,
    token: TokenKey,
}

impl RingKey {
    fn new(key: &AesKey) -> Self {
        // This extract is never expanded: it serves as a name that tells nothing about the key.
        let fingerprint = Hkdf::<Sha256>::extract(Some(HINT_LABEL), key.as_bytes()).0.into();
        Self {
            fingerprint,
            id: extract(ID_LABEL, key),
            data: extract(DATA_LABEL, key),
            token: TokenKey::new(key),
        }
    }

    /// The mark in a sealed text that says which key sealed it.
    pub(crate) fn hint(&self) -> [u8; HINT_LEN] {
        let [a, b, c, d, ..] = self.fingerprint;
        [a, b, c, d]
    }

    pub(crate) fn expander(&self, purpose: Purpose) -> &Hkdf<Sha256> {
        match purpose {
            Purpose::Id => &self.id,
            Purpose::Data => &self.data,
        }
    }

    pub(crate) fn token(&self) -> &TokenKey {
        &self.token
    }
}

fn extract(label: &[u8], key: &AesKey) -> Hkdf<Sha256> {
    let (mut pseudorandom, expander) = Hkdf::extract(Some(label), key.as_bytes());
    pseudorandom[..].zeroize();
    expander
}
