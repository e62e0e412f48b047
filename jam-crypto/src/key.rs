//! One AES-256 key: reading it from text, making a new one, wiping it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use jam_core::{Error, ErrorKind, Result};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// How many url-safe base64 characters hold 32 bytes, without padding.
const TEXT_LEN: usize = 43;

/// A 256-bit key, the text form of which is 32 bytes in url-safe base64: 44 characters with padding, as keys of
/// Python's Fernet (and so of jamlib) have it, or 43 without.
///
/// It is wiped from memory when dropped; `Debug` shows nothing, and nothing gives the key back. What it is read from (a
/// configuration, an environment variable) is the caller's to keep and to wipe.
///
/// ```
/// use jam_crypto::{AesKey, generate_aes_key};
///
/// let key: AesKey = generate_aes_key()?.parse()?;
/// assert_eq!(format!("{key:?}"), "AesKey { .. }");
///
/// let error = "correct horse battery staple".parse::<AesKey>().unwrap_err();
/// assert!(error.message().contains("character 8 is white space"));
/// # Ok::<(), jam_core::Error>(())
/// ```
pub struct AesKey(Box<Zeroizing<[u8; Self::LEN]>>);

impl AesKey {
    /// How many bytes it has.
    pub const LEN: usize = 32;

    /// A key from its bytes, for those who keep keys elsewhere than in text. They must come from a CSPRNG: a password
    /// or a hash of one is not a key.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut key = Self(Box::default());
        key.0.copy_from_slice(bytes);
        key
    }

    /// A new key from the operating system's CSPRNG.
    ///
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut key = Self(Box::default());
        fill_random(&mut key.0[..])?;
        Ok(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl FromStr for AesKey {
    type Err = Error;

    /// # Errors
    /// [`Crypto`](ErrorKind::Crypto) if the text is no key. The message says what is wrong (alphabet, length, padding,
    /// decoded size) and shows nothing of the text but how long it is and where the first wrong character stands.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(no_key("it is empty"));
        }
        let body = text.trim_end_matches('=');
        let padding = text.len() - body.len();
        check_alphabet(body)?;
        if body.len() != TEXT_LEN {
            return Err(no_key(format!(
                "it has {} characters, which hold {} bytes",
                text.len(),
                body.len() * 3 / 4
            )));
        }
        if padding > 1 {
            return Err(no_key(format!(
                "it ends with {padding} times the padding character =, where one or none belongs"
            )));
        }
        let mut key = Self(Box::default());
        // The decoder's error shows a character of the key, so it goes no further.
        if URL_SAFE_NO_PAD.decode_slice(body, &mut key.0[..]) != Ok(Self::LEN) {
            return Err(no_key(
                "its last character holds bits beyond the 32 bytes, which no encoder writes (Python ignores them); \
                 it was mistyped or made up",
            ));
        }
        Ok(key)
    }
}

fn check_alphabet(body: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut wrong = body.chars().enumerate().filter(|(_, c)| !fits(*c));
    // Padding in the middle most often is at its end, with something after it that should not be there: name that.
    let Some((index, wrong)) = wrong.clone().find(|(_, c)| *c != '=').or_else(|| wrong.next()) else {
        return Ok(());
    };
    let at = index + 1;
    Err(no_key(match wrong {
        '+' | '/' => {
            format!("character {at} is of the standard alphabet of base64; the url-safe one has - for + and _ for /")
        }
        '=' => format!("character {at} is the padding character =, which belongs at the end only"),
        c if c.is_whitespace() => format!("character {at} is white space"),
        _ => format!("character {at} is none of A-Z a-z 0-9 - _"),
    }))
}

fn no_key(why: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Crypto,
        format!(
            "this text is no AES key: {why}; a key is 32 random bytes in url-safe base64, 44 characters (43 without \
             padding), and generate_aes_key() makes one"
        ),
    )
}

impl ZeroizeOnDrop for AesKey {}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesKey").finish_non_exhaustive()
    }
}

/// Makes a new key from the operating system's CSPRNG and gives it as text: 44 characters of url-safe base64 with
/// padding, good for [`AesKey`] and for Python's Fernet, so for jamlib too.
///
/// The text is the secret itself: put it where secrets are kept, not into a log.
///
/// # Errors
/// [`Unexpected`](ErrorKind::Unexpected) if the operating system gives no random bytes.
pub fn generate_aes_key() -> Result<String> {
    Ok(URL_SAFE.encode(AesKey::generate()?.as_bytes()))
}

/// Fills from the operating system's CSPRNG, asked anew each time: a buffer kept in the process would give the same
/// bytes twice after a fork.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Unexpected, "the operating system gives no random bytes").with_source(error)
    })
}
