//! The Fernet token as jamlib writes it: `J$_` and the token of the Fernet spec, version 0x80.
//!
//! ```text
//! text  = "J$_" | base64url(token), with padding
//! token = 0x80 | seconds since 1970 (8 bytes, big endian) | IV (16) | ciphertext | HMAC-SHA256 of all before (32)
//! key   = signing key (16) | encryption key (16); the ciphertext is AES-128-CBC with the padding of PKCS #7
//! ```
//!
//! The time is written and, as in jamlib, never judged: expiry is the store's.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use jam_core::{Clock, Result, SystemClock};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::fill_random;
use crate::ring::RingKey;
use crate::{AesKey, KeyRing};

const MARK: &str = "J$_";
const VERSION: u8 = 0x80;
const BLOCK_LEN: usize = 16;
const HEADER_LEN: usize = 1 + size_of::<u64>() + BLOCK_LEN;
const MAC_LEN: usize = 32;

/// How long the text is of a token of this many bytes.
pub(crate) const fn text_len(plain_len: usize) -> usize {
    let ciphertext_len = (plain_len / BLOCK_LEN + 1) * BLOCK_LEN;
    MARK.len() + (HEADER_LEN + ciphertext_len + MAC_LEN).div_ceil(3) * 4
}

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not the text of a token.
    Format,
    /// No key of the ring made it as it is.
    Unverified,
}

/// One key as Fernet uses it.
pub(crate) struct TokenKey {
    signing: Hmac<Sha256>,
    cipher: Aes128,
}

impl TokenKey {
    pub(crate) fn new(key: &AesKey) -> Self {
        let (signing, encryption) = key.as_bytes().split_at(BLOCK_LEN);
        // HMAC fills a short key up with zeros itself; full length is what makes this infallible.
        let mut block = Zeroizing::new([0; 64]);
        block[..BLOCK_LEN].copy_from_slice(signing);
        let mut cipher = Zeroizing::new([0; BLOCK_LEN]);
        cipher.copy_from_slice(encryption);
        Self {
            signing: Hmac::new((&*block).into()),
            cipher: Aes128::new((&*cipher).into()),
        }
    }

    fn seal_with(&self, seconds: u64, iv: [u8; BLOCK_LEN], plain: &[u8]) -> String {
        let ciphertext = cbc::Encryptor::inner_iv_init(&self.cipher, &iv.into()).encrypt_padded_vec::<Pkcs7>(plain);
        let mut token = Vec::with_capacity(HEADER_LEN + ciphertext.len() + MAC_LEN);
        token.push(VERSION);
        token.extend_from_slice(&seconds.to_be_bytes());
        token.extend_from_slice(&iv);
        token.extend_from_slice(&ciphertext);
        let mac = self.signing.clone().chain_update(&token).finalize();
        token.extend_from_slice(&mac.into_bytes());

        let mut text = String::with_capacity(text_len(plain.len()));
        text.push_str(MARK);
        URL_SAFE.encode_string(&token, &mut text);
        text
    }

    /// In constant time.
    fn made(&self, signed: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        self.signing.clone().chain_update(signed).verify(mac.into()).is_ok()
    }
}

/// Makes a token with the first key of the ring.
pub(crate) fn seal(ring: &KeyRing, plain: &[u8]) -> Result<String> {
    let mut iv = [0; BLOCK_LEN];
    fill_random(&mut iv)?;
    let now = SystemClock.now().as_secs();
    Ok(ring.sealing().token().seal_with(now, iv, plain))
}

/// Opens a token that any key of the ring made. Each token has one spelling: other base64 of the same bytes, which
/// Python reads, is refused.
pub(crate) fn open(ring: &KeyRing, text: &[u8]) -> Result<Vec<u8>, Refused> {
    let encoded = text.strip_prefix(MARK.as_bytes()).ok_or(Refused::Format)?;
    let token = URL_SAFE.decode(encoded).map_err(|_| Refused::Format)?;
    let (signed, mac) = token.split_last_chunk::<MAC_LEN>().ok_or(Refused::Format)?;
    let (header, ciphertext) = signed.split_first_chunk::<HEADER_LEN>().ok_or(Refused::Format)?;
    let [VERSION, ..] = header else {
        return Err(Refused::Format);
    };
    let (_, iv) = header.split_last_chunk::<BLOCK_LEN>().ok_or(Refused::Format)?;

    let mut keys = ring.all().map(RingKey::token);
    let key = keys.find(|key| key.made(signed, mac)).ok_or(Refused::Unverified)?;
    cbc::Decryptor::inner_iv_init(&key.cipher, iv.into())
        .decrypt_padded_vec::<Pkcs7>(ciphertext)
        .map_err(|_| Refused::Unverified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_and_python_make_the_same_bytes() {
        let spec = include_str!("../../tests/golden/fernet-spec.txt");
        let line = spec.lines().find(|line| line.starts_with("valid")).unwrap();
        let [_, key, seconds, _, plain, token] = line.split(' ').collect::<Vec<_>>()[..] else {
            unreachable!("not a vector")
        };
        let key = TokenKey::new(&key.parse().unwrap());
        let iv = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let text = key.seal_with(seconds.parse().unwrap(), iv, plain.as_bytes());
        assert_eq!(text, format!("{MARK}{token}"));
    }

    #[test]
    fn the_length_of_a_text_is_known_before() {
        let ring = AesKey::generate().unwrap().into();
        for len in 0..200 {
            assert_eq!(seal(&ring, &vec![0; len]).unwrap().len(), text_len(len));
        }
    }
}
