//! Keys rotate without logging anyone out, and a removed key opens nothing.

use jam_core::{ErrorKind, IdCodec, Sealer};
use jam_crypto::{AesIds, AesKey, AesSealer, KeyRing};

use crate::support::{Session, ring, ring_of};

#[test]
fn every_key_of_the_ring_opens() {
    let session = Session::usual();
    let inner = session.inner();
    for number in 1..=5 {
        let (id, record) = AesIds::new(ring(number)).issue(&inner).unwrap();
        let sealed = AesSealer::new(ring(number)).seal(&session.data(), b"{}").unwrap();
        let all = ring_of(&[1, 2, 3, 4, 5]);
        assert_eq!(AesIds::new(all.clone()).resolve(id.as_str()).unwrap(), record);
        assert_eq!(AesSealer::new(all).open(&session.data(), &sealed).unwrap(), b"{}");
    }
}

#[test]
fn the_first_key_of_the_ring_seals_and_no_other() {
    let session = Session::usual();
    let rotated = ring_of(&[2, 1]);
    let (id, record) = AesIds::new(rotated.clone()).issue(&session.inner()).unwrap();
    let sealed = AesSealer::new(rotated).seal(&session.data(), b"{}").unwrap();

    assert_eq!(AesIds::new(ring(2)).resolve(id.as_str()).unwrap(), record);
    assert_eq!(AesSealer::new(ring(2)).open(&session.data(), &sealed).unwrap(), b"{}");
    assert!(AesIds::new(ring(1)).resolve(id.as_str()).is_err());
    assert!(AesSealer::new(ring(1)).open(&session.data(), &sealed).is_err());
}

#[test]
fn a_removed_key_no_longer_opens() {
    let session = Session::usual();
    let (id, _) = AesIds::new(ring(1)).issue(&session.inner()).unwrap();
    let sealed = AesSealer::new(ring(1)).seal(&session.data(), b"{}").unwrap();

    let removed = ring_of(&[3, 2]);
    let error = AesIds::new(removed.clone()).resolve(id.as_str()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    let error = AesSealer::new(removed).open(&session.data(), &sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crypto);
    assert!(error.message().contains("a key that is not in the key ring"), "{error}");
}

#[test]
fn keys_whose_hints_happen_to_be_the_same_open_each_their_own() {
    // Found by counting up until two hints met.
    const FIRST: u32 = 88_029;
    const SECOND: u32 = 101_597;

    let key = |number: u32| {
        let mut bytes = [0; AesKey::LEN];
        bytes[28..].copy_from_slice(&number.to_be_bytes());
        AesKey::from_bytes(&bytes)
    };
    let session = Session::usual();
    let both = AesSealer::new(KeyRing::new([key(FIRST), key(SECOND)]).unwrap());
    let mut hints = Vec::new();
    for number in [FIRST, SECOND] {
        let alone = AesSealer::new(key(number).into());
        let mut sealed = alone.seal(&session.data(), b"{}").unwrap();
        assert_eq!(both.open(&session.data(), &sealed).unwrap(), b"{}");
        hints.push(sealed[1..5].to_vec());
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(
            both.open(&session.data(), &sealed).unwrap_err().kind(),
            ErrorKind::Crypto
        );
    }
    assert_eq!(hints[0], hints[1], "else this test shows nothing");
}
