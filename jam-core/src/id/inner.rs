//! The inner id: session key, handle, life and secret, before a codec turns it into what the client holds.

use std::fmt;

use crate::{ErrorKind, Handle, Life, Result, Secret, SessionKey};

/// What a session id says before a codec hides any of it: `<session key>:<unique>.<life>.<secret>`.
///
/// `unique` is the [`Handle`]. The key is what stands before the last `:`; none of the other parts can hold a `:` or a
/// `.`, so every text has at most one reading. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InnerId {
    /// Whose session it is.
    pub key: SessionKey,
    /// What the id factory made; it stays through every rework.
    pub unique: Handle,
    /// When the session began, the ttl of its own, and when this id was issued.
    pub life: Life,
    /// What makes the id a secret; a rework makes a new one.
    pub secret: Secret,
}

impl InnerId {
    /// The longest text an inner id can have, in bytes.
    pub const MAX_LEN: usize = SessionKey::MAX_LEN + 1 + Handle::MAX_LEN + 1 + Life::MAX_LEN + 1 + Secret::TEXT_LEN;

    /// A new id with a fresh secret.
    ///
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    pub fn generate(key: SessionKey, unique: Handle, life: Life) -> Result<Self> {
        Ok(Self {
            key,
            unique,
            life,
            secret: Secret::generate()?,
        })
    }

    /// A new id with a fresh secret and a version 4 UUID as its handle, both from one question to the operating system.
    pub(crate) fn generate_v4(key: SessionKey, life: Life) -> Result<Self> {
        let (uuid, secret) = Secret::generate_with_uuid()?;
        Ok(Self {
            key,
            unique: Handle::new(uuid.to_string())?,
            life,
            secret,
        })
    }

    /// The id as text.
    pub fn to_text(&self) -> String {
        format!(
            "{}:{}.{}.{}",
            self.key.as_str(),
            self.unique,
            self.life,
            self.secret.to_text()
        )
    }

    /// The id from text.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) for every text that [`to_text`](Self::to_text) does not write.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| ErrorKind::InvalidId.into())
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_LEN {
            return None;
        }
        let (key, rest) = text.rsplit_once(':')?;
        let mut parts = rest.split('.');
        let (unique, life, secret) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            key: SessionKey::new(key).ok()?,
            unique: Handle::new(unique).ok()?,
            life: life.parse().ok()?,
            secret: Secret::parse(secret)?,
        })
    }
}

impl fmt::Debug for InnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerId").finish_non_exhaustive()
    }
}
