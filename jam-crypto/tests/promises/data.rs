//! Sealed payloads: they open for the use of the session they were sealed for, and nothing else opens at all.

use jam_core::{ErrorKind, IdCodec, SealContext, SealDomain, Sealer};
use jam_crypto::{AesIds, AesSealer};
use proptest::prelude::*;

use crate::support::{HOSTILE_KEYS, Session, bounded, ring, session};

const PLAIN: &[u8] = br#"{"role":"admin"}"#;

/// It does not open, and says so with these words.
#[track_caller]
fn assert_refused(sealer: &AesSealer, context: &SealContext<'_>, sealed: &[u8], why: &str) {
    let error = sealer.open(context, sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crypto);
    assert!(error.message().contains(why), "{error}");
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn what_was_sealed_opens_byte_for_byte(session in session(), plain in prop::collection::vec(any::<u8>(), 0..2000)) {
        let sealer = AesSealer::new(ring(1));
        for domain in [SealDomain::Data, SealDomain::GraceNote] {
            let sealed = sealer.seal(&session.context(domain), &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + 45);
            prop_assert_eq!(&sealer.open(&session.context(domain), &sealed).unwrap(), &plain);
        }
    }

    #[test]
    fn no_session_opens_the_payload_of_another(one in session(), other in session()) {
        let sealer = AesSealer::new(ring(1));
        let sealed = sealer.seal(&one.data(), PLAIN).unwrap();
        let same = (&one.record, &one.handle, one.life) == (&other.record, &other.handle, other.life);
        prop_assert_eq!(sealer.open(&other.data(), &sealed).is_ok(), same);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_any_payload_is_refused(
        session in session(),
        plain in prop::collection::vec(any::<u8>(), 0..500),
        at in any::<prop::sample::Index>(),
    ) {
        let sealer = AesSealer::new(ring(1));
        let mut sealed = sealer.seal(&session.data(), &plain).unwrap();
        let bit = at.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(sealer.open(&session.data(), &sealed).unwrap_err().kind(), ErrorKind::Crypto);
    }

    #[test]
    fn made_up_payloads_are_refused(mut payload in prop::collection::vec(any::<u8>(), 0..500), versioned in any::<bool>()) {
        if let (true, Some(first)) = (versioned, payload.first_mut()) {
            *first = 1;
        }
        let error = AesSealer::new(ring(1)).open(&Session::usual().data(), &payload).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Crypto);
    }
}

#[test]
fn every_flipped_bit_of_a_payload_is_refused() {
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    let sealed = sealer.seal(&session.data(), PLAIN).unwrap();
    for at in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let why = match at / 8 {
            0 => "is not sealed",
            1..5 => "a key that is not in the key ring",
            _ => "was changed or cut off",
        };
        assert_refused(&sealer, &session.data(), &changed, why);
    }
}

#[test]
fn every_truncation_and_extension_of_a_payload_is_refused() {
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    let sealed = sealer.seal(&session.data(), PLAIN).unwrap();
    assert_refused(&sealer, &session.data(), &[], "is not sealed");
    for len in 1..sealed.len() {
        assert_refused(&sealer, &session.data(), &sealed[..len], "cut off");
        assert_eq!(
            sealer.open(&session.data(), &sealed[len..]).unwrap_err().kind(),
            ErrorKind::Crypto
        );
    }
    for byte in 0..=u8::MAX {
        assert_refused(&sealer, &session.data(), &[&sealed[..], &[byte]].concat(), "changed");
    }
    assert_refused(
        &sealer,
        &session.data(),
        &[&sealed[..], &sealed[..]].concat(),
        "changed",
    );
}

#[test]
fn a_payload_moved_to_another_session_does_not_open() {
    let sealer = AesSealer::new(ring(1));
    let here = Session::new("user1", "handle", Some("t3uznk-2s0"));
    let sealed = sealer.seal(&here.data(), PLAIN).unwrap();
    for there in [
        Session::new("user2", "handle", Some("t3uznk-2s0")),
        Session::new("User1", "handle", Some("t3uznk-2s0")),
        Session::new("user1\0", "handle", Some("t3uznk-2s0")),
        Session::new("user1", "handle2", Some("t3uznk-2s0")),
        Session::new("user1", "handle", Some("t3uznk-2s1")),
        Session::new("user1", "handle", Some("t3uznl-2s0")),
        Session::new("user1", "handle", Some("t3uznk")),
        Session::new("user1", "handle", Some("t3uznk_2s0")),
        Session::new("user1", "handle", None),
        // The same letters, cut elsewhere.
        Session::new("user1h", "andle", Some("t3uznk-2s0")),
        Session::new("user", "1handle", Some("t3uznk-2s0")),
        Session::new("user1", "handlet", Some("3uznk-2s0")),
    ] {
        assert_refused(&sealer, &there.data(), &sealed, "belongs to another session");
    }
}

#[test]
fn a_payload_opens_at_no_other_id_of_its_session() {
    let sealer = AesSealer::new(ring(1));
    let [here, there] = ["an id", "another"].map(|record| Session::at(record, "user1", "handle", Some("t3uznk")));
    for domain in [SealDomain::Data, SealDomain::GraceNote] {
        let sealed = sealer.seal(&here.context(domain), PLAIN).unwrap();
        assert_eq!(sealer.open(&here.context(domain), &sealed).unwrap(), PLAIN);
        assert_refused(&sealer, &there.context(domain), &sealed, "another session or id");
    }
}

#[test]
fn data_does_not_pass_for_a_grace_note_nor_a_note_for_data() {
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    let (data, note) = (session.data(), session.context(SealDomain::GraceNote));
    let sealed = sealer.seal(&data, PLAIN).unwrap();
    assert_refused(&sealer, &note, &sealed, "changed");
    let sealed = sealer.seal(&note, PLAIN).unwrap();
    assert_refused(&sealer, &data, &sealed, "changed");
}

#[test]
fn another_key_does_not_open() {
    let session = Session::usual();
    let sealed = AesSealer::new(ring(1)).seal(&session.data(), PLAIN).unwrap();
    let stranger = AesSealer::new(ring(2));
    assert_refused(&stranger, &session.data(), &sealed, "a key that is not in the key ring");
    // Not even under the stranger's own hint.
    let mut renamed = sealed;
    renamed[1..5].copy_from_slice(&stranger.seal(&session.data(), PLAIN).unwrap()[1..5]);
    assert_refused(&stranger, &session.data(), &renamed, "changed");
}

#[test]
fn an_id_is_no_payload() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    let (id, _) = AesIds::new(ring(1)).issue(&session.inner()).unwrap();
    let sealed_id = URL_SAFE_NO_PAD.decode(&id.as_str()[3..]).unwrap();
    assert_refused(&sealer, &session.data(), &sealed_id, "changed");
    assert_refused(&sealer, &session.data(), id.as_str().as_bytes(), "is not sealed");
}

#[test]
fn plaintext_does_not_open() {
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    for payload in [PLAIN, b"{}", b" {}", b"[]", b"null", b"", b"\0", b"\x80\x04]", b"text"] {
        assert_refused(&sealer, &session.data(), payload, "is not sealed");
        let note = session.context(SealDomain::GraceNote);
        assert_refused(&sealer, &note, payload, "is not sealed");
    }
}

#[test]
fn a_migration_opens_plaintext_json_objects_and_only_those() {
    let (sealer, session) = (AesSealer::new(ring(1)).accept_plaintext(true), Session::usual());
    for payload in [PLAIN, b"{}", b" \n{\"a\": [1, {}]} "] {
        assert_eq!(sealer.open(&session.data(), payload).unwrap(), payload);
        let note = session.context(SealDomain::GraceNote);
        assert_refused(&sealer, &note, payload, "is not sealed");
    }
    for payload in [
        &PLAIN[..PLAIN.len() - 1],
        b"[]",
        b"null",
        b"1",
        b"",
        b"{} {}",
        b"{\"a\":\xff}",
        b"\x80\x04]",
    ] {
        assert_refused(&sealer, &session.data(), payload, "is not sealed");
    }
    assert_refused(&sealer.accept_plaintext(false), &session.data(), PLAIN, "is not sealed");
}

#[test]
fn a_migration_still_seals_and_still_refuses_what_was_tampered_with() {
    let (sealer, session) = (AesSealer::new(ring(1)).accept_plaintext(true), Session::usual());
    let sealed = sealer.seal(&session.data(), PLAIN).unwrap();
    assert_eq!(AesSealer::new(ring(1)).open(&session.data(), &sealed).unwrap(), PLAIN);
    for at in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert_refused(&sealer, &session.data(), &changed, "");
    }
    let other = Session::new("user2", "handle", None);
    assert_refused(&sealer, &other.data(), &sealed, "belongs to another session");
}

#[test]
fn a_payload_sealed_twice_differs_in_every_part_and_shows_nothing() {
    let (sealer, session) = (AesSealer::new(ring(1)), Session::usual());
    let (one, other) = (
        sealer.seal(&session.data(), PLAIN).unwrap(),
        sealer.seal(&session.data(), PLAIN).unwrap(),
    );
    // Salt, ciphertext, tag.
    for part in [5..29, 29..29 + PLAIN.len(), 29 + PLAIN.len()..one.len()] {
        assert_ne!(one[part.clone()], other[part]);
    }
    assert!(!one.windows(5).any(|window| window == b"admin"));
}

#[test]
fn hostile_session_keys_are_bound_like_any_other() {
    let sealer = AesSealer::new(ring(1));
    for key in HOSTILE_KEYS {
        let sealed = sealer.seal(&Session::new(key, "h", Some("1")).data(), PLAIN).unwrap();
        for other in HOSTILE_KEYS {
            let opened = sealer.open(&Session::new(other, "h", Some("1")).data(), &sealed);
            assert_eq!(opened.is_ok(), key == other);
        }
    }
}
