//! Ids: what the client holds, what names a session without being secret, and how one becomes a record id.

mod codec;
mod factory;
mod hashed;
mod inner;
mod layout;
mod life;
mod plain;
mod secret;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

pub use self::codec::{Described, IdCodec};
pub use self::factory::{IdFactory, UuidV4, UuidV7};
pub use self::hashed::HashedIds;
pub use self::inner::InnerId;
pub use self::layout::Layout;
pub use self::life::Life;
pub use self::plain::PlainIds;
pub use self::secret::Secret;
use crate::{Error, ErrorKind, RecordId, Result};

/// What the client holds. A bearer secret: whoever has it has the session.
///
/// `Debug` never shows it, and there is no `Display`, so that it gets into no log by accident; [`as_str`](Self::as_str)
/// gives it out where giving it out is the point. Wherever jam takes an id, a plain `&str` does as well.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// An id from the text a client sent. Whether it means anything turns out when it is used.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionId").finish_non_exhaustive()
    }
}

impl AsRef<str> for SessionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<String> for SessionId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for SessionId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The name of one session, safe to show on a page ("your devices") and to revoke by. It is no secret and opens
/// nothing.
///
/// It stays the same through every rework. 1 to 64 characters of `A-Z a-z 0-9 _ -`.
#[derive(Clone)]
pub struct Handle {
    /// Begins with the handle; mostly it is the record id, so that to name a session copies nothing.
    text: Arc<str>,
    len: usize,
}

impl Handle {
    /// The longest handle, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A handle from text.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is empty, too long or holds another character.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        Self::check(text)?;
        Ok(Self {
            text: text.into(),
            len: text.len(),
        })
    }

    /// The handle that a shared text begins with.
    pub(crate) fn at_start_of(text: Arc<str>, len: usize) -> Result<Self> {
        Self::check(text.get(..len).unwrap_or_default())?;
        Ok(Self { text, len })
    }

    fn check(text: &str) -> Result<()> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        // Without leaving early, so that many bytes are looked at in one step.
        let all_fit = text.bytes().fold(true, |all, byte| all & fits(byte));
        if text.is_empty() || text.len() > Self::MAX_LEN || !all_fit {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a handle (what the id factory makes) has 1 to 64 characters of A-Z a-z 0-9 _ -",
            ));
        }
        Ok(())
    }

    pub(crate) fn of_opaque(id: &RecordId) -> Self {
        let hash = secret::truncated_sha256(id.id().as_bytes());
        Self {
            text: hash.as_str().into(),
            len: hash.as_str().len(),
        }
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.text[..self.len]
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Handle {}

impl PartialOrd for Handle {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Handle {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Handle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.as_str())
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Handle {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for Handle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}
