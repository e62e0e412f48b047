//! The secret part of an id: 128 bits from the operating system, and its hash.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::{Error, ErrorKind, Result};

/// 128 random bits, always from the operating system's CSPRNG (OWASP ASVS 5.0, 7.2.3), never from an id factory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; Self::LEN]);

impl Secret {
    /// How many bytes it has.
    pub const LEN: usize = 16;
    /// How many base64url characters that is.
    pub(crate) const TEXT_LEN: usize = 22;

    /// A new secret.
    ///
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        Ok(Self(random()?))
    }

    /// A new secret, and a version 4 UUID (RFC 9562, 5.4) from other random bytes.
    pub(crate) fn generate_with_uuid() -> Result<(Uuid, Self)> {
        let bytes: [u8; 2 * Self::LEN] = random()?;
        let ([uuid, secret], []) = bytes.as_chunks() else {
            return Err(ErrorKind::Unexpected.into());
        };
        Ok((Builder::from_random_bytes(*uuid).into_uuid(), Self(*secret)))
    }

    /// From base64url without padding, in the one canonical form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        if text.len() != Self::TEXT_LEN {
            return None;
        }
        // The engine refuses other alphabets, padding and bits that do not count.
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == Self::LEN).then_some(Self(bytes))
    }

    /// As base64url without padding.
    pub(crate) fn to_text(&self) -> Encoded {
        Encoded::of(&self.0)
    }

    /// The first 128 bits of its SHA-256, as base64url without padding.
    pub(crate) fn hash(&self) -> Encoded {
        truncated_sha256(&self.0)
    }
}

/// 128 bits as base64url without padding, without a place of its own in memory.
pub(crate) struct Encoded([u8; Secret::TEXT_LEN]);

impl Encoded {
    fn of(bytes: &[u8]) -> Self {
        let mut text = [0; Secret::TEXT_LEN];
        // 16 bytes are 22 characters; less fits as well.
        let _ = URL_SAFE_NO_PAD.encode_slice(&bytes[..Secret::LEN], &mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Unexpected, "the operating system gives no random bytes").with_source(error)
    })?;
    Ok(bytes)
}

/// The first 128 bits of a SHA-256, as base64url without padding.
pub(crate) fn truncated_sha256(bytes: &[u8]) -> Encoded {
    Encoded::of(&Sha256::digest(bytes))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
