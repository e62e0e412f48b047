//! Keys: what is one, what is none and why, and that they are wiped.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aes::Aes256Enc;
use jam_core::{Error, ErrorKind};
use jam_crypto::{AesKey, AesSealer, KeyRing, generate_aes_key};
use zeroize::ZeroizeOnDrop;

use crate::support::{Session, ring};

/// 32 bytes of 7, with the padding of Python's Fernet.
const SEVENS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn refused(text: &str) -> Error {
    let error = text.parse::<AesKey>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crypto, "{text:?}");
    error
}

#[test]
fn a_key_is_read_with_and_without_padding() {
    use jam_core::Sealer;
    let session = Session::usual();
    let sealed = AesSealer::new(ring(7)).seal(&session.data(), b"{}").unwrap();
    for text in [SEVENS, SEVENS.trim_end_matches('=')] {
        let ring = KeyRing::from(text.parse::<AesKey>().unwrap());
        assert_eq!(AesSealer::new(ring).open(&session.data(), &sealed).unwrap(), b"{}");
    }
}

#[test]
fn a_generated_key_is_a_key_with_padding_and_never_the_same() {
    let keys: Vec<String> = (0..100).map(|_| generate_aes_key().unwrap()).collect();
    for key in &keys {
        assert_eq!(key.len(), 44);
        assert!(key.ends_with('=') && !key.contains(['+', '/']));
    }
    assert_eq!(KeyRing::parse(&keys).unwrap().len(), 100);
}

#[test]
fn the_error_says_what_is_wrong_with_a_key() {
    let body = &SEVENS[..43];
    for (text, why) in [
        (String::new(), "it is empty"),
        ("=".into(), "it has 1 characters, which hold 0 bytes"),
        ("BwcH".into(), "it has 4 characters, which hold 3 bytes"),
        (body[..42].into(), "it has 42 characters, which hold 31 bytes"),
        (
            format!("{}==", &body[..42]),
            "it has 44 characters, which hold 31 bytes",
        ),
        (format!("{body}B"), "it has 44 characters, which hold 33 bytes"),
        ("ab12".repeat(16), "it has 64 characters, which hold 48 bytes"),
        (format!("{body}=="), "it ends with 2 times the padding character ="),
        (format!("{}=c", &body[..42]), "character 43 is the padding character ="),
        (
            format!("{}d", &body[..42]),
            "its last character holds bits beyond the 32 bytes",
        ),
        (
            format!("+{}", &body[1..]),
            "character 1 is of the standard alphabet of base64",
        ),
        (
            format!("{}/{}", &body[..9], &body[10..]),
            "character 10 is of the standard alphabet of base64",
        ),
        (format!(" {SEVENS}"), "character 1 is white space"),
        (format!("{SEVENS}\n"), "character 45 is white space"),
        (
            format!("{}é{}", &body[..20], &body[21..]),
            "character 21 is none of A-Z a-z 0-9 - _",
        ),
        (
            "$JAM_SESSION_AES_SECRET".into(),
            "character 1 is none of A-Z a-z 0-9 - _",
        ),
    ] {
        let error = refused(&text);
        assert!(error.message().contains(why), "{text:?}: {error}");
        assert!(error.message().contains("generate_aes_key()"), "what helps: {error}");
    }
}

#[test]
fn a_ring_without_keys_is_refused() {
    for error in [KeyRing::new([]).unwrap_err(), KeyRing::parse::<&str>(&[]).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Crypto);
        assert!(error.message().contains("has no key"), "{error}");
    }
    assert_eq!("".parse::<KeyRing>().unwrap_err().kind(), ErrorKind::Crypto);
}

#[test]
fn a_ring_with_a_key_twice_is_refused_however_it_is_spelled() {
    let other = generate_aes_key().unwrap();
    let error = KeyRing::parse(&[SEVENS, &other, &SEVENS[..43]]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crypto);
    assert!(error.message().contains("as key 1 and as key 3"), "{error}");
}

#[test]
fn a_ring_says_which_of_its_texts_is_no_key() {
    let error = KeyRing::parse(&[SEVENS, "hunter2"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crypto);
    assert!(error.to_string().contains("key=2 of 2"), "{error}");
}

#[test]
fn a_ring_is_read_from_one_text_with_commas() {
    let other = generate_aes_key().unwrap();
    assert_eq!(SEVENS.parse::<KeyRing>().unwrap().len(), 1);
    assert_eq!(format!(" {SEVENS} ,{other}\n").parse::<KeyRing>().unwrap().len(), 2);
    assert!(format!("{SEVENS},").parse::<KeyRing>().is_err());
}

#[test]
fn keys_and_all_that_is_derived_from_them_are_wiped_on_drop() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<AesKey>();
    wiped::<sha2::block_api::Sha256VarCore>();
    wiped::<AesGcm<Aes256Enc, U12>>();
}
