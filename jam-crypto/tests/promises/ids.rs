//! Sealed ids: they find their record, nothing else does.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jam_core::{ErrorKind, Handle, HashedIds, IdCodec, InnerId, PlainIds, Sealer, SessionKey};
use jam_crypto::{AesIds, AesSealer};
use proptest::prelude::*;

use crate::support::{HOSTILE_KEYS, Session, bounded, ring, session};

#[track_caller]
fn assert_refused(ids: &AesIds, text: &str) {
    let error = ids.resolve(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    let error = ids.locate(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
}

fn issued() -> (AesIds, String) {
    let ids = AesIds::new(ring(1));
    let (id, _) = ids.issue(&Session::usual().inner()).unwrap();
    (ids, id.into_string())
}

/// The bytes behind an id's prefix.
fn sealed(id: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(&id[3..]).unwrap()
}

fn as_id(sealed: &[u8]) -> String {
    format!("J$_{}", URL_SAFE_NO_PAD.encode(sealed))
}

#[test]
fn the_longest_id_there_can_be_resolves() {
    let life = "3w5e11264sgsf-3w5e11264sgsf_3w5e11264sgsf".parse().unwrap();
    let key = SessionKey::new("k".repeat(SessionKey::MAX_LEN)).unwrap();
    let handle = Handle::new("h".repeat(Handle::MAX_LEN)).unwrap();
    let inner = InnerId::generate(key, handle, life).unwrap();
    assert_eq!(inner.to_text().len(), InnerId::MAX_LEN);
    let ids = AesIds::new(ring(1));
    let (id, record) = ids.issue(&inner).unwrap();
    assert_eq!(ids.resolve(id.as_str()).unwrap(), record);
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn an_id_finds_the_record_that_hashed_ids_keep(session in session()) {
        let ids = AesIds::new(ring(1));
        let inner = session.inner();
        let (id, record) = ids.issue(&inner).unwrap();
        prop_assert_eq!(&record, &HashedIds.record_id(&inner).unwrap());
        prop_assert_eq!(&ids.resolve(id.as_str()).unwrap(), &record);
        prop_assert_eq!(ids.describe(&record), HashedIds.describe(&record));
        prop_assert_eq!(ids.locate(id.as_str()).unwrap(), (record.clone(), ids.describe(&record)));
        prop_assert_eq!(ids.describe(&record).handle, inner.unique);
        prop_assert_eq!(ids.describe(&record).life, Some(inner.life));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_any_id_is_refused(session in session(), at in any::<prop::sample::Index>()) {
        let ids = AesIds::new(ring(1));
        let (id, _) = ids.issue(&session.inner()).unwrap();
        let mut bytes = sealed(id.as_str());
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&ids, &as_id(&bytes));
    }
}

#[test]
fn hostile_session_keys_travel_inside_ids() {
    let ids = AesIds::new(ring(1));
    let longest = "k".repeat(SessionKey::MAX_LEN);
    for key in HOSTILE_KEYS.into_iter().chain([longest.as_str()]) {
        let handle = "h".repeat(Handle::MAX_LEN);
        let inner = Session::new(key, &handle, Some("3w5e11264sgsf-3w5e11264sgsf")).inner();
        let (id, record) = ids.issue(&inner).unwrap();
        let found = ids.resolve(id.as_str()).unwrap();
        assert_eq!(found, record);
        assert_eq!(found.key().as_str(), key);
        assert!(
            id.as_str()[3..]
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }
}

#[test]
fn every_flipped_bit_of_an_id_is_refused() {
    let (ids, id) = issued();
    for at in 0..sealed(&id).len() * 8 {
        let mut bytes = sealed(&id);
        bytes[at / 8] ^= 1 << (at % 8);
        assert_refused(&ids, &as_id(&bytes));
    }
    // And of its text, as far as that stays text.
    for at in (0..id.len() * 8).filter(|at| at % 8 != 7) {
        let mut bytes = id.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        assert_refused(&ids, str::from_utf8(&bytes).unwrap());
    }
}

#[test]
fn every_truncation_and_extension_of_an_id_is_refused() {
    let (ids, id) = issued();
    for at in 0..id.len() {
        assert_refused(&ids, &id[..at]);
        assert_refused(&ids, &id[at + 1..]);
        assert_refused(&ids, &format!("{}{}", &id[..at], &id[at + 1..]));
    }
    let bytes = sealed(&id);
    for len in 0..bytes.len() {
        assert_refused(&ids, &as_id(&bytes[..len]));
        assert_refused(&ids, &as_id(&bytes[bytes.len() - len..]));
    }
    for byte in 0..=u8::MAX {
        assert_refused(&ids, &as_id(&[&bytes[..], &[byte]].concat()));
        assert_refused(&ids, &as_id(&[&[byte], &bytes[..]].concat()));
    }
    for more in ["A", "AAAA", "=", "==", " ", "\n", "\0", ".", ";", "é"] {
        assert_refused(&ids, &format!("{id}{more}"));
        assert_refused(&ids, &format!("{more}{id}"));
    }
    assert_refused(&ids, &format!("{id}{id}"));
    assert_refused(&ids, &format!("{id}{}", &id[3..]));
}

#[test]
fn an_id_has_one_spelling() {
    let ids = AesIds::new(ring(1));
    // Keys of three lengths, so that base64 ends in each of its three ways.
    for key in ["u", "us", "use"] {
        let (id, _) = ids.issue(&Session::new(key, "h", Some("1")).inner()).unwrap();
        let (id, bytes) = (id.as_str(), sealed(id.as_str()));
        let (start, last) = id.split_at(id.len() - 1);
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
            if !last.starts_with(other) {
                assert_refused(&ids, &format!("{start}{other}"));
            }
        }
        let padded = format!("J$_{}", URL_SAFE.encode(&bytes));
        let standard = format!("J$_{}", STANDARD_NO_PAD.encode(&bytes));
        for other in [padded, standard] {
            assert!(other == id || ids.resolve(&other).is_err());
        }
        assert_refused(&ids, &id.replacen('J', "j", 1));
        assert_refused(&ids, &id[3..]);
    }
}

#[test]
fn ids_of_other_codecs_and_services_are_refused() {
    let ids = AesIds::new(ring(1));
    let inner = Session::usual().inner();
    let (hashed, record) = HashedIds.issue(&inner).unwrap();
    let (plain, _) = PlainIds.issue(&inner).unwrap();
    let (stranger, _) = AesIds::new(ring(2)).issue(&inner).unwrap();
    // What jamlib gives out: the same prefix, then a Fernet token (version 0x80, time, IV, ciphertext, HMAC).
    let fernet = [&[0x80][..], &[0; 8], &[1; 16], &[2; 64], &[3; 32]].concat();
    for text in [
        hashed.as_str(),
        plain.as_str(),
        stranger.as_str(),
        record.id(),
        &as_id(hashed.as_str().as_bytes()),
        &as_id(&fernet),
        &format!("J$_{}", hashed.as_str()),
        &format!("J$_{}", URL_SAFE.encode(&fernet)),
        "",
        "J$_",
        "J$_AQ",
    ] {
        assert_refused(&ids, text);
    }
}

#[test]
fn a_sealed_payload_is_no_id() {
    let session = Session::usual();
    let text = session.inner().to_text();
    let payload = AesSealer::new(ring(1)).seal(&session.data(), text.as_bytes()).unwrap();
    assert_refused(&AesIds::new(ring(1)), &as_id(&payload));
}

#[test]
fn an_id_sealed_twice_gives_two_texts_of_one_record() {
    let ids = AesIds::new(ring(1));
    let inner = Session::usual().inner();
    let ((one, record), (other, same)) = (ids.issue(&inner).unwrap(), ids.issue(&inner).unwrap());
    assert_ne!(one, other);
    assert_eq!(record, same);
    assert_eq!(ids.resolve(one.as_str()).unwrap(), ids.resolve(other.as_str()).unwrap());
}

#[test]
fn an_id_shows_nothing_of_the_session() {
    let (_, id) = issued();
    let bytes = sealed(&id);
    for part in ["user1", "565df195", "t3uznk"] {
        assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()));
    }
}

#[test]
fn over_long_texts_are_refused_unread() {
    let ids = AesIds::new(ring(1));
    let begin = Instant::now();
    for text in [
        "J$_AQAA".repeat(1 << 21),
        format!("J$_{}", "AQAA".repeat(1 << 22)),
        ":".repeat(1 << 24),
    ] {
        for _ in 0..1000 {
            assert_refused(&ids, &text);
            // Reading 16 MiB a thousand times takes minutes; refusing by length takes microseconds.
            assert!(begin.elapsed() < Duration::from_secs(10), "it is being read");
        }
    }
}

#[test]
fn a_life_is_kept() {
    assert!(AesIds::new(ring(1)).keeps_life());
    let inner: InnerId = Session::usual().inner();
    let (_, record) = AesIds::new(ring(1)).issue(&inner).unwrap();
    assert!(record.id().contains(&inner.life.to_string()));
}
