//! The sealed form, which ids and payloads share; the crate's docs give format version 1 in full.

use std::borrow::Cow;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256Enc;
use aes_gcm::{AesGcm, Nonce, Tag};
use hkdf::Hkdf;
use jam_core::{Error, ErrorKind, Result};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::AesKey;
use crate::key::fill_random;
use crate::ring::{HINT_LEN, KeyRing, Purpose};

/// AES-256-GCM, wiped on drop (`tests/promises/keys.rs`). GCM runs the cipher in one direction only, so the keys of the other need not be made.
type Cipher = AesGcm<Aes256Enc, U12>;
type MessageKey = Zeroizing<[u8; AesKey::LEN]>;

const VERSION: u8 = 1;
const SALT_LEN: usize = 24;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 1 + HINT_LEN + SALT_LEN;

/// How much longer the sealed form is than what is sealed, in bytes.
pub(crate) const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not begin with a format version that is known.
    Format,
    /// It is too short to be sealed.
    CutOff,
    /// No key of the ring has its hint.
    UnknownKey,
    /// It, or what it is bound to, is not what was sealed.
    Changed,
}

/// Seals for this purpose, bound to these fields.
pub(crate) fn seal(ring: &KeyRing, purpose: Purpose, fields: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
    let failed = || Error::new(ErrorKind::Crypto, "AES-256-GCM cannot seal that much at once (64 GiB)");
    let key = ring.sealing();
    let mut salt = [0; SALT_LEN];
    fill_random(&mut salt)?;

    let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&key.hint());
    sealed.extend_from_slice(&salt);
    let bound = additional_data(&sealed, fields).into_owned();
    sealed.extend_from_slice(plain);

    let mut of_message = MessageKey::default();
    derive(key.expander(purpose), &salt, &mut of_message).ok_or_else(failed)?;
    let cipher = Cipher::new((&*of_message).into());
    let tag = cipher
        .encrypt_inout_detached(&nonce(&salt), &bound, (&mut sealed[HEADER_LEN..]).into())
        .map_err(|_| failed())?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] made for this purpose and these fields.
pub(crate) fn open(ring: &KeyRing, purpose: Purpose, fields: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, Refused> {
    check_version(sealed)?;
    let (header, rest) = sealed.split_first_chunk().ok_or(Refused::CutOff)?;
    let (ciphertext, tag) = rest.split_last_chunk().ok_or(Refused::CutOff)?;
    let mut text = ciphertext.to_vec();
    decrypt(ring, purpose, fields, header, &mut text, tag)?;
    Ok(text)
}

/// The same in the place of what is opened, which is worth nothing afterwards.
pub(crate) fn open_in_place<'a>(
    ring: &KeyRing,
    purpose: Purpose,
    fields: &[&[u8]],
    sealed: &'a mut [u8],
) -> Result<&'a [u8], Refused> {
    check_version(sealed)?;
    let (header, rest) = sealed.split_first_chunk_mut().ok_or(Refused::CutOff)?;
    let (text, tag) = rest.split_last_chunk_mut().ok_or(Refused::CutOff)?;
    decrypt(ring, purpose, fields, header, text, tag)?;
    Ok(text)
}

fn check_version(sealed: &[u8]) -> Result<(), Refused> {
    if sealed.first() == Some(&VERSION) {
        Ok(())
    } else {
        Err(Refused::Format)
    }
}

/// Turns ciphertext into what was sealed. What is refused stays as it was.
fn decrypt(
    ring: &KeyRing,
    purpose: Purpose,
    fields: &[&[u8]],
    header: &[u8; HEADER_LEN],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Refused> {
    let (hint, salt) = header[1..].split_first_chunk::<HINT_LEN>().ok_or(Refused::CutOff)?;
    let salt = salt.try_into().map_err(|_| Refused::CutOff)?;
    let bound = additional_data(header, fields);
    let mut refused = Refused::UnknownKey;
    for key in ring.by_hint(*hint) {
        refused = Refused::Changed;
        let mut of_message = MessageKey::default();
        derive(key.expander(purpose), salt, &mut of_message).ok_or(refused)?;
        let cipher = Cipher::new((&*of_message).into());
        let opened = cipher.decrypt_inout_detached(&nonce(salt), &bound, (&mut *text).into(), &Tag::from(*tag));
        if opened.is_ok() {
            return Ok(());
        }
    }
    Err(refused)
}

/// The key of one message. Derived into its place, as the cipher is made in its own: what is moved leaves a copy behind that nobody
/// wipes. `None` never happens: HKDF expands to 32 bytes.
fn derive(expander: &Hkdf<Sha256>, salt: &[u8; SALT_LEN], key: &mut MessageKey) -> Option<()> {
    expander.expand(salt, &mut key[..]).ok()
}

fn nonce(salt: &[u8; SALT_LEN]) -> Nonce<U12> {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&salt[SALT_LEN - NONCE_LEN..]);
    nonce.into()
}

/// The header, then each field behind its length, so that no two lists of fields give the same bytes.
fn additional_data<'a>(header: &'a [u8], fields: &[&[u8]]) -> Cow<'a, [u8]> {
    if fields.is_empty() {
        return header.into();
    }
    let mut data =
        Vec::with_capacity(header.len() + fields.iter().map(|field| size_of::<u64>() + field.len()).sum::<usize>());
    data.extend_from_slice(header);
    for field in fields {
        data.extend_from_slice(&(field.len() as u64).to_be_bytes());
        data.extend_from_slice(field);
    }
    data.into()
}
