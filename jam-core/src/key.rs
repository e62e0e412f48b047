//! The session key: whose sessions they are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// Whose session it is: a user name, an account id, a visitor's mark. Any UTF-8 text of 1 to 512 bytes.
///
/// It may hold `:`, `/`, spaces, `..`, NUL, emoji: nothing in jam gives any of them a meaning. Keys are compared byte
/// by byte, with no case folding and no Unicode normalisation. `Debug` shows only the length, since keys are often
/// personal data. Cloning is cheap.
///
/// ```
/// use jam_core::SessionKey;
///
/// let key = SessionKey::new("user1")?;
/// assert_eq!(key.as_str(), "user1");
/// assert!(SessionKey::new("").is_err());
/// assert!(SessionKey::new("x".repeat(513)).is_err());
/// # Ok::<(), jam_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(Arc<str>);

impl SessionKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 512;

    /// A key from text.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is empty or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(key: impl AsRef<str>) -> Result<Self> {
        let key = key.as_ref();
        if key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a session key is empty; it must name whose session it is",
            ));
        }
        if key.len() > Self::MAX_LEN {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "a session key has {} bytes; at most {} are allowed",
                    key.len(),
                    Self::MAX_LEN
                ),
            ));
        }
        Ok(Self(key.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({} bytes)", self.0.len())
    }
}

impl AsRef<str> for SessionKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionKey {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self> {
        Self::new(key)
    }
}
