//! The encryption of Python's jamlib: what either side sealed the other opens, and nothing else opens at all.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jam_core::{ErrorKind, Handle, IdCodec, MemoryStore, PlainIds, SealDomain, Sealer, SessionKey, Sessions};
use jam_crypto::{AesIds, AesSealer, FernetIds, FernetSealer, KeyRing};
use proptest::prelude::*;

use crate::support::{HOSTILE_KEYS, Session, bounded, ring, ring_of, session};

const PLAIN: &[u8] = br#"{"role": "admin"}"#;

/// Neither an id nor a payload.
#[track_caller]
fn assert_refused(ring: &KeyRing, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    if let Ok(id) = str::from_utf8(text) {
        let error = FernetIds::new(ring.clone()).resolve(id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
    }
    let opened = FernetSealer::new(ring.clone()).open(&Session::usual().data(), text);
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Crypto);
}

fn issued(session: &Session) -> String {
    let (id, _) = FernetIds::new(ring(1)).issue(&session.inner()).unwrap();
    id.into_string()
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let sealer = FernetSealer::new(ring(1));
    sealer.seal(&Session::usual().data(), plain).unwrap()
}

/// The bytes of a token.
fn token(text: impl AsRef<[u8]>) -> Vec<u8> {
    URL_SAFE.decode(&text.as_ref()[3..]).unwrap()
}

fn as_text(token: &[u8]) -> String {
    format!("J$_{}", URL_SAFE.encode(token))
}

/// At the first login it would fail, where a note is left at the id that is replaced.
#[test]
fn a_sealer_of_data_alone_is_refused_where_notes_are_left() {
    let build = |ids: Option<FernetIds>| {
        let builder = Sessions::builder(MemoryStore::new()).sealer(FernetSealer::new(ring(1)));
        match ids {
            Some(ids) => builder.ids(ids).build(),
            None => builder.build(),
        }
    };
    let error = build(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("cannot seal notes"), "{error}");
    assert!(build(Some(FernetIds::new(ring(1)))).is_ok());
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn an_id_is_its_own_record_and_finds_it(session in session()) {
        let ids = FernetIds::new(ring(1));
        let inner = session.inner();
        let (id, record) = ids.issue(&inner).unwrap();
        prop_assert_eq!(record.id(), id.as_str());
        prop_assert_eq!(record.key(), session.record.key());
        prop_assert_eq!(&ids.resolve(id.as_str()).unwrap(), &record);
        // The handle names the record and gives nothing of it away.
        let described = ids.describe(&record);
        prop_assert_eq!(described.life, None);
        prop_assert!(!id.as_str().contains(described.handle.as_str()));
        prop_assert_eq!(described, PlainIds.describe(&record));
    }

    #[test]
    fn what_was_sealed_opens_byte_for_byte(session in session(), plain in prop::collection::vec(any::<u8>(), 0..2000)) {
        let sealer = FernetSealer::new(ring(1));
        let sealed = sealer.seal(&session.data(), &plain).unwrap();
        prop_assert_eq!(&sealer.open(&session.data(), &sealed).unwrap(), &plain);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused(
        session in session(),
        plain in prop::collection::vec(any::<u8>(), 0..500),
        at in any::<prop::sample::Index>(),
    ) {
        for text in [issued(&session).into_bytes(), sealed(&plain)] {
            let mut bytes = token(&text);
            let bit = at.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&ring(1), as_text(&bytes));
            let mut changed = text.clone();
            let bit = at.index(text.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&ring(1), &changed);
        }
    }

    #[test]
    fn made_up_tokens_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..500), versioned in any::<bool>()) {
        if let (true, Some(first)) = (versioned, bytes.first_mut()) {
            *first = 0x80;
        }
        assert_refused(&ring(1), as_text(&bytes));
        assert_refused(&ring(1), &bytes);
    }
}

#[test]
fn every_flipped_bit_truncation_and_extension_is_refused() {
    for text in [issued(&Session::usual()).into_bytes(), sealed(PLAIN)] {
        let bytes = token(&text);
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert_refused(&ring(1), as_text(&changed));
        }
        for at in 0..text.len() {
            assert_refused(&ring(1), &text[..at]);
            assert_refused(&ring(1), &text[at + 1..]);
            assert_refused(&ring(1), [&text[..at], &text[at + 1..]].concat());
        }
        for len in 0..bytes.len() {
            assert_refused(&ring(1), as_text(&bytes[..len]));
            assert_refused(&ring(1), as_text(&bytes[bytes.len() - len..]));
        }
        for more in [&b"A"[..], b"AAAA", b"=", b"==", b" ", b"\n", b"\0", b"~", b"\xff"] {
            assert_refused(&ring(1), [&text, more].concat());
            assert_refused(&ring(1), [more, &text].concat());
        }
        assert_refused(&ring(1), [&text[..], &text].concat());
        assert_refused(&ring(1), [&text[..], &text[3..]].concat());
    }
}

#[test]
fn a_token_has_one_spelling() {
    // Keys of many lengths, so that base64 ends in each of its three ways.
    for len in 1..60 {
        let id = issued(&Session::new(&"k".repeat(len), "h", None));
        let bytes = token(&id);
        for other in [
            format!("J$_{}", STANDARD.encode(&bytes)),
            format!("J$_{}", URL_SAFE_NO_PAD.encode(&bytes)),
            format!("{id}="),
            id.trim_end_matches('=').to_owned(),
            id.to_lowercase(),
            id[3..].to_owned(),
        ] {
            if other != id {
                assert_refused(&ring(1), other);
            }
        }
        let body = id.trim_end_matches('=');
        let (start, last) = body.split_at(body.len() - 1);
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
            if !last.starts_with(other) {
                assert_refused(&ring(1), format!("{start}{other}{}", &id[body.len()..]));
            }
        }
    }
}

#[test]
fn hostile_session_keys_travel_inside_ids() {
    let longest = "k".repeat(SessionKey::MAX_LEN);
    let ids = FernetIds::new(ring(1));
    for key in HOSTILE_KEYS.into_iter().chain([longest.as_str()]) {
        let id = issued(&Session::new(key, &"h".repeat(Handle::MAX_LEN), None));
        assert_eq!(ids.resolve(&id).unwrap().key().as_str(), key);
    }
}

#[test]
fn what_opens_but_is_no_key_and_unique_is_refused() {
    let ids = FernetIds::new(ring(1));
    let too_long = format!("{}:h", "k".repeat(SessionKey::MAX_LEN + 1));
    let no_utf8 = b"\xff:laptop";
    for plain in [
        "",
        ":",
        "laptop",
        ":laptop",
        "user1:",
        "user1:lap top",
        "user1:{\"a\":1}",
        &too_long,
    ] {
        let text = String::from_utf8(sealed(plain.as_bytes())).unwrap();
        assert_eq!(ids.resolve(&text).unwrap_err().kind(), ErrorKind::InvalidId, "{plain}");
    }
    let text = String::from_utf8(sealed(no_utf8)).unwrap();
    assert_eq!(ids.resolve(&text).unwrap_err().kind(), ErrorKind::InvalidId);
}

#[test]
fn no_data_passes_for_an_id_nor_an_id_for_data() {
    let ids = FernetIds::new(ring(1));
    for data in ["{}", r#"{"a":"user1:laptop"}"#, r#"{"user1:laptop":1}"#] {
        let text = String::from_utf8(sealed(data.as_bytes())).unwrap();
        assert_eq!(ids.resolve(&text).unwrap_err().kind(), ErrorKind::InvalidId, "{data}");
    }
    // The other way round it opens, as in jamlib, but no id is a JSON object.
    for key in HOSTILE_KEYS {
        let id = issued(&Session::new(key, "h", None));
        let opened = FernetSealer::new(ring(1))
            .open(&Session::usual().data(), id.as_bytes())
            .unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&opened).is_err());
    }
}

/// Where an id does not tell when its session began, nothing may be promised that counts from there.
#[test]
fn a_manager_with_these_ids_refuses_an_absolute_lifetime() {
    let builder = || Sessions::builder(MemoryStore::new()).max_lifetime(Duration::from_hours(8));
    let refused = builder().ids(FernetIds::new(ring(1))).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    builder().ids(AesIds::new(ring(1))).build().unwrap();
}

#[test]
fn grace_notes_are_neither_sealed_nor_opened() {
    let (sealer, session) = (FernetSealer::new(ring(1)), Session::usual());
    let note = session.context(SealDomain::GraceNote);
    assert_eq!(sealer.seal(&note, PLAIN).unwrap_err().kind(), ErrorKind::Crypto);
    let opened = sealer.open(&note, &sealed(PLAIN));
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Crypto);
}

#[test]
fn what_another_key_codec_or_nobody_sealed_is_refused() {
    let session = Session::usual();
    let aes = AesIds::new(ring(1)).issue(&session.inner()).unwrap().0.into_string();
    let plain = PlainIds.issue(&session.inner()).unwrap().0.into_string();
    for text in [
        FernetIds::new(ring(2))
            .issue(&session.inner())
            .unwrap()
            .0
            .as_str()
            .as_bytes(),
        &FernetSealer::new(ring(2)).seal(&session.data(), PLAIN).unwrap(),
        &AesSealer::new(ring(1)).seal(&session.data(), PLAIN).unwrap(),
        aes.as_bytes(),
        plain.as_bytes(),
        format!("J$_{plain}").as_bytes(),
        PLAIN,
        b"{}",
        b"",
        b"J$_",
        b"J$_gAAAAA==",
    ] {
        assert_refused(&ring(1), text);
    }
}

#[test]
fn the_first_key_seals_and_all_open() {
    let (old, rotated) = (ring(1), ring_of(&[2, 1]));
    let session = Session::usual();
    let id = issued(&session);
    assert!(FernetIds::new(rotated.clone()).resolve(&id).is_ok());
    let sealer = FernetSealer::new(rotated.clone());
    assert_eq!(sealer.open(&session.data(), &sealed(PLAIN)).unwrap(), PLAIN);

    assert_refused(&old, sealer.seal(&session.data(), PLAIN).unwrap());
    let (id, _) = FernetIds::new(rotated).issue(&session.inner()).unwrap();
    assert_refused(&old, id.as_str());
    assert!(FernetIds::new(ring(2)).resolve(id.as_str()).is_ok());
}

#[test]
fn a_token_tells_when_it_was_made_and_nothing_of_the_session() {
    let now = || {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let begin = now();
    for bytes in [token(issued(&Session::usual())), token(sealed(PLAIN))] {
        assert_eq!(bytes[0], 0x80);
        let time = u64::from_be_bytes(bytes[1..9].try_into().unwrap());
        assert!((begin..=now()).contains(&time));
        for part in ["user1", "565df195", "t3uznk", "admin"] {
            assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()));
        }
    }
    assert_ne!(
        token(sealed(PLAIN))[9..25],
        token(sealed(PLAIN))[9..25],
        "an IV came twice"
    );
}

#[test]
fn over_long_ids_are_refused_unread() {
    let ids = FernetIds::new(ring(1));
    let begin = Instant::now();
    for text in [format!("J$_{}", "gAAA".repeat(1 << 22)), ":".repeat(1 << 24)] {
        for _ in 0..1000 {
            assert_eq!(ids.resolve(&text).unwrap_err().kind(), ErrorKind::InvalidId);
            assert!(begin.elapsed() < Duration::from_secs(10), "it is being read");
        }
    }
}
