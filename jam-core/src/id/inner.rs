//! The inner id: session key, handle, life and secret, before a codec turns it into what the client holds.

use std::fmt;

use uuid::fmt::Hyphenated;

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
    pub const MAX_LEN: usize = SessionKey::MAX_LEN + 1 + Self::MAX_VISIBLE + Secret::TEXT_LEN;

    /// The most that stands between key and secret.
    pub(crate) const MAX_VISIBLE: usize = Handle::MAX_LEN + 1 + Life::MAX_LEN + 1;

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
    /// The key may be made from the UUID.
    pub(crate) fn generate_v4(life: Life, key: impl FnOnce(&str) -> Result<SessionKey>) -> Result<Self> {
        let (uuid, secret) = Secret::generate_with_uuid()?;
        let mut unique = [0; Hyphenated::LENGTH];
        let unique = &*uuid.hyphenated().encode_lower(&mut unique);
        Ok(Self {
            key: key(unique)?,
            unique: Handle::new(unique)?,
            life,
            secret,
        })
    }

    /// The id as text.
    pub fn to_text(&self) -> String {
        self.text_with(self.secret.to_text().as_str())
    }

    /// The same with `secret` in the place of its own.
    pub(crate) fn text_with(&self, secret: &str) -> String {
        // What mostly stands between the two: a UUID, a time, and a dot behind each.
        const VISIBLE: usize = Hyphenated::LENGTH + 12;
        let mut text = String::with_capacity(self.key.as_str().len() + 1 + VISIBLE + secret.len());
        text.push_str(self.key.as_str());
        text.push(':');
        text.push_str(self.unique.as_str());
        text.push('.');
        // Into a `String` this never fails.
        let _ = self.life.write_to(&mut text);
        text.push('.');
        text.push_str(secret);
        text
    }

    /// The id from text.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) for every text that [`to_text`](Self::to_text) does not write.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| ErrorKind::InvalidId.into())
    }

    fn read(text: &str) -> Option<Self> {
        let parts = Parts::of(text)?;
        Some(Self {
            key: SessionKey::new(parts.key).ok()?,
            unique: Handle::new(parts.unique).ok()?,
            life: parts.life,
            secret: parts.secret,
        })
    }
}

/// An inner id as it stands in a text. Every one is written in one way only, so what was read is what would be written.
pub(crate) struct Parts<'a> {
    pub(crate) key: &'a str,
    /// Handle and life, with a `.` behind each.
    pub(crate) visible: &'a str,
    pub(crate) secret: Secret,
    /// A handle.
    pub(crate) unique: &'a str,
    pub(crate) life: Life,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        if text.len() > InnerId::MAX_LEN {
            return None;
        }
        // From behind: the secret has one length, and the marks before it are near.
        let (rest, secret) = text.split_at_checked(text.len().checked_sub(Secret::TEXT_LEN)?)?;
        let named = rest.strip_suffix('.')?;
        let (named, life) = split_at_last(named, b'.')?;
        let (key, unique) = split_at_last(named, b':')?;
        Handle::check(unique).ok()?;
        Some(Self {
            key,
            visible: &rest[key.len() + 1..],
            life: life.parse().ok()?,
            secret: Secret::parse(secret)?,
            unique,
        })
    }
}

/// What stands before and behind the last such mark, which is looked for byte by byte: it is near.
fn split_at_last(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|byte| byte == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

impl fmt::Debug for InnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerId").finish_non_exhaustive()
    }
}
