//! No `Debug`, `Display` or error shows a key, an id or data.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use jam_core::{IdCodec, Sealer};
use jam_crypto::{AesIds, AesKey, AesSealer, FernetIds, FernetSealer, KeyRing};

use jam_test_trials::Dice;

use crate::support::{Session, ring, ring_of};

/// Every way in which these bytes could show: text, hex, lists of numbers; any six characters of it betray it.
fn fragments(bytes: &[u8], text: &str) -> Vec<String> {
    let hex = bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    let spellings = [text.to_owned(), hex.to_uppercase(), hex];
    let mut fragments: Vec<String> = spellings
        .iter()
        .flat_map(|spelling| spelling.as_bytes().windows(6))
        .map(|window| String::from_utf8(window.to_vec()).unwrap())
        .collect();
    fragments.extend(bytes.windows(3).map(|three| {
        let list = format!("{three:?}");
        list.trim_matches(['[', ']']).to_owned()
    }));
    fragments
}

/// All that a value says of itself.
fn shown<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:?} {value:#?}")
}

fn chain(error: &jam_core::Error) -> String {
    let mut text = format!("{error} {}", shown(error));
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text} {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[test]
fn nothing_shows_a_key() {
    let mut dice = Dice::new(1);
    for _ in 0..50 {
        let bytes: [u8; AesKey::LEN] = dice.bytes(AesKey::LEN).try_into().unwrap();
        let text = URL_SAFE.encode(bytes);
        let key: AesKey = text.parse().unwrap();
        let ring = KeyRing::parse(&[&text]).unwrap();
        assert_eq!(format!("{key:?}"), "AesKey { .. }");
        let mut all = shown(&key);
        all += &shown(&AesKey::from_bytes(&bytes));
        all += &shown(&ring);
        all += &shown(&AesIds::new(ring.clone()));
        all += &shown(&FernetIds::new(ring.clone()));
        all += &shown(&FernetSealer::new(ring.clone()));
        all += &shown(&AesSealer::new(ring).accept_plaintext(true));

        // Each way to get a key wrong.
        let wrong = |at: usize, with: char| format!("{}{with}{}", &text[..at], &text[at + 1..]);
        for text in [
            text[..40].to_owned(),
            text.repeat(2),
            format!("{text}="),
            format!("{text}\n"),
            wrong(20, '+'),
            wrong(20, '='),
            wrong(20, ' '),
            wrong(20, '!'),
            wrong(20, 'é'),
            wrong(42, 'b'),
        ] {
            all += &chain(&text.parse::<AesKey>().unwrap_err());
            all += &chain(&KeyRing::parse(&[&text]).unwrap_err());
        }
        all += &chain(&KeyRing::parse(&[&text, &text]).unwrap_err());
        for fragment in fragments(&bytes, &text) {
            assert!(!all.contains(&fragment), "{fragment} of {text} in {all}");
        }
    }
}

#[test]
fn a_ring_shows_how_many_keys_it_has_and_nothing_else() {
    let ring = ring_of(&[1, 2]);
    assert_eq!(format!("{ring:?}"), "KeyRing { keys: 2, .. }");
    assert_eq!(
        format!("{:?}", AesIds::new(ring.clone())),
        "AesIds { ring: KeyRing { keys: 2, .. } }"
    );
    assert_eq!(
        format!("{:?}", AesSealer::new(ring)),
        "AesSealer { ring: KeyRing { keys: 2, .. }, accept_plaintext: false }"
    );
}

#[test]
fn no_refusal_shows_an_id_or_data() {
    let session = Session::new("user-of-renown", "handle-7", Some("t3uznk"));
    let ids = AesIds::new(ring(1));
    let inner = session.inner();
    let (id, _) = ids.issue(&inner).unwrap();
    let stranger = AesIds::new(ring(2));
    let mut all = shown(&id);
    for text in [id.as_str(), &inner.to_text(), &id.as_str()[..100], "J$_hunter2"] {
        all += &chain(&stranger.resolve(text).unwrap_err());
    }

    let sealer = AesSealer::new(ring(1));
    let plain = br#"{"role":"very-secret-role"}"#;
    let sealed = sealer.seal(&session.data(), plain).unwrap();
    let other = Session::new("user-of-renown", "handle-8", None);
    all += &chain(&sealer.open(&other.data(), &sealed).unwrap_err());
    all += &chain(&sealer.open(&session.data(), plain).unwrap_err());
    all += &chain(&sealer.open(&session.data(), &sealed[..20]).unwrap_err());
    all += &chain(&AesSealer::new(ring(2)).open(&session.data(), &sealed).unwrap_err());

    let (token, record) = FernetIds::new(ring(1)).issue(&inner).unwrap();
    all += &shown(&(&token, record));
    all += &chain(&FernetIds::new(ring(2)).resolve(token.as_str()).unwrap_err());
    let fernet = FernetSealer::new(ring(1));
    let sealed = fernet.seal(&session.data(), plain).unwrap();
    all += &chain(&fernet.open(&session.data(), plain).unwrap_err());
    all += &chain(&fernet.open(&session.data(), &sealed[..20]).unwrap_err());
    all += &chain(&FernetSealer::new(ring(2)).open(&session.data(), &sealed).unwrap_err());

    for secret in [
        &id.as_str()[3..13],
        &token.as_str()[13..23],
        str::from_utf8(&sealed[13..23]).unwrap(),
        "user-of-renown",
        "very-secret",
        "hunter2",
        "handle-7",
        "handle-8",
    ] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
