//! Ids: golden forms that stay readable for ever, and texts that are none.

use std::sync::Arc;
use std::time::Duration;

use jam_core::{
    Error, Handle, HashedIds, IdCodec, InnerId, Life, PlainIds, Record, RecordId, Result, SessionKey, Timestamp,
};
use proptest::prelude::*;

/// Version 1 of the id format: these must resolve to these for ever.
const GOLDEN: [(&str, &str, &str); 6] = [
    (
        "user1:565df195-b963-4ebb-8978-318998ef191c.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA",
        "user1",
        "565df195-b963-4ebb-8978-318998ef191c.t5o2k9.cmU0HU0Vlqr6aMQKDuFa0A",
    ),
    (
        "a:b:c:dev_1.0-1ylds.AAAAAAAAAAAAAAAAAAAAAA",
        "a:b:c",
        "dev_1.0-1ylds.N0cI__dxndWXnsh11WzSKA",
    ),
    (
        "\0é👩:x.1._____________________w",
        "\0é👩",
        "x.1.WsallF8WUAkRIZEpmEuosw",
    ),
    // Of a rework, some time after the session began.
    (
        "user1:565df195-b963-4ebb-8978-318998ef191c.t5o2k9_p0.Zb2nq0LdVv3m9Tq2wYx1gA",
        "user1",
        "565df195-b963-4ebb-8978-318998ef191c.t5o2k9_p0.cmU0HU0Vlqr6aMQKDuFa0A",
    ),
    (
        "a:b:c:dev_1.0-1ylds_1.AAAAAAAAAAAAAAAAAAAAAA",
        "a:b:c",
        "dev_1.0-1ylds_1.N0cI__dxndWXnsh11WzSKA",
    ),
    (
        "\0é👩:x.1_3w5e11264sgsf._____________________w",
        "\0é👩",
        "x.1_3w5e11264sgsf.WsallF8WUAkRIZEpmEuosw",
    ),
];

/// What a text resolves to, which is what it is located at.
fn found(codec: &impl IdCodec, text: &str) -> Result<RecordId> {
    let resolved = codec.resolve(text);
    let told = resolved.as_ref().map(|record| (record.clone(), codec.describe(record)));
    let located = codec.locate(text);
    assert_eq!(
        located.as_ref().map_err(Error::kind),
        told.as_ref().map_err(|error| error.kind()),
        "{text}"
    );
    resolved
}

#[test]
fn golden_ids_resolve_to_the_same_records_for_ever() {
    for (public, key, record) in GOLDEN {
        let resolved = found(&HashedIds, public).unwrap();
        assert_eq!((resolved.key().as_str(), resolved.id()), (key, record));
        let inner = InnerId::parse(public).unwrap();
        assert_eq!(inner.to_text(), public);
        let (id, issued) = HashedIds.issue(&inner).unwrap();
        assert_eq!((id.as_str(), issued), (public, resolved.clone()));
        let described = HashedIds.describe(&resolved);
        assert_eq!((described.handle, described.life), (inner.unique, Some(inner.life)));
    }
}

#[test]
fn no_text_resolves_that_was_not_issued() {
    let id = GOLDEN[0].0;
    let mut texts = vec![
        String::new(),
        "x".repeat(10_000),
        format!("{id}."),
        format!("{id}="),
        format!(":{id}"),
    ];
    // Cut anywhere, and with any character swapped for one that is not allowed there.
    texts.extend((0..id.len()).map(|end| id[..end].to_owned()));
    texts.extend((6..id.len()).map(|at| format!("{}~{}", &id[..at], &id[at + 1..])));
    // Bits that do not count in the last character of the secret.
    texts.push(format!("{}B", &id[..id.len() - 1]));
    texts.push(id.replace("t5o2k9", "T5O2K9"));
    texts.push(id.replace("t5o2k9", "0t5o2k9"));
    for text in texts.iter().filter(|text| !text.starts_with(":user1")) {
        assert!(found(&HashedIds, text).is_err(), "{text}");
    }
    // A colon in front belongs to the key: another key, another record.
    assert_ne!(
        HashedIds.resolve(&format!(":{id}")).unwrap(),
        HashedIds.resolve(id).unwrap()
    );
}

#[test]
fn a_golden_id_says_when_it_was_issued() {
    let issued = |golden: usize| InnerId::parse(GOLDEN[golden].0).unwrap().life.issued();
    assert_eq!(issued(3), issued(0).plus(Duration::from_mins(15)));
    assert_eq!(issued(4), Timestamp::from_secs(1));
    assert_eq!(issued(5), Timestamp::MAX);
}

#[test]
fn the_longest_id_there_can_be_resolves() {
    let life: Life = "3w5e11264sgsf-3w5e11264sgsf_3w5e11264sgsf".parse().unwrap();
    let key = SessionKey::new("k".repeat(SessionKey::MAX_LEN)).unwrap();
    let handle = Handle::new("h".repeat(Handle::MAX_LEN)).unwrap();
    let (id, record) = HashedIds.issue(&InnerId::generate(key, handle, life).unwrap()).unwrap();
    assert_eq!(id.as_str().len(), InnerId::MAX_LEN);
    assert_eq!(HashedIds.resolve(id.as_str()).unwrap(), record);
    assert!(HashedIds.resolve(&format!("k{}", id.as_str())).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_is_read_back_from_its_id(
        created in 0..1_u64 << 37,
        ttl in prop::option::of(0..1_u64 << 40),
        issued in 0..1_u64 << 37,
    ) {
        let life = Life::new(Timestamp::from_secs(created), ttl.map(Duration::from_secs));
        let life = life.reissued(Timestamp::from_secs(issued));
        prop_assert_eq!(life.issued(), life.created().max(Timestamp::from_secs(issued)));
        let inner = InnerId::generate(SessionKey::new("user1").unwrap(), Handle::new("h").unwrap(), life).unwrap();
        let (id, record) = HashedIds.issue(&inner).unwrap();
        prop_assert_eq!(found(&HashedIds, id.as_str()).unwrap(), record.clone());
        prop_assert_eq!(found(&Arc::new(HashedIds), id.as_str()).unwrap(), record.clone());
        prop_assert_eq!(HashedIds.describe(&record).life, Some(life));
    }

    #[test]
    fn an_id_has_one_text(text in "[a:.]{0,3}:[a:.-]{0,3}\\.[0-9.:é_-]{0,4}\\.{0,2}A{20,22}[A.:]{0,2}") {
        let parts: Vec<_> = text.rsplitn(2, ':').collect();
        let well_formed = parts.len() == 2 && !parts[1].is_empty() && {
            let named: Vec<_> = parts[0].split('.').collect();
            named.len() == 3
                && named[0].parse::<Handle>().is_ok()
                && named[1].parse::<Life>().is_ok()
                // Digits may stand before the As. The last one is an A: a digit there would hold bits beyond the 128.
                && named[2].len() == 22
                && named[2].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        prop_assert_eq!(found(&HashedIds, &text).is_ok(), well_formed);
        if let Ok(inner) = InnerId::parse(&text) {
            prop_assert_eq!(inner.to_text(), text);
        }
    }

    #[test]
    fn an_id_with_one_character_more_less_or_another_is_the_same_only_if_it_is_one(
        golden in 0..GOLDEN.len(),
        at in 0..80_usize,
        with in "[a0A:._-]{0,2}",
        dropped in 0..2_usize,
    ) {
        let mut characters: Vec<_> = GOLDEN[golden].0.chars().collect();
        let at = at.min(characters.len());
        let end = (at + dropped).min(characters.len());
        characters.splice(at..end, with.chars());
        let text: String = characters.into_iter().collect();
        let read = InnerId::parse(&text);
        prop_assert_eq!(found(&HashedIds, &text).is_ok(), read.is_ok());
        if let Ok(inner) = read {
            prop_assert_eq!(inner.to_text(), text);
        }
    }

    #[test]
    fn a_life_has_one_text(text in "[0-9a-z]{0,3}([-_]{0,2}[0-9a-z]{0,3}){0,3}") {
        if let Ok(life) = text.parse::<Life>() {
            prop_assert_eq!(life.to_string(), text);
        }
    }
}

#[test]
fn each_id_has_a_secret_of_its_own_whatever_the_factory_gives() {
    let key = SessionKey::new("user1").unwrap();
    let life: Life = "t5o2k9".parse().unwrap();
    let make = || {
        InnerId::generate(key.clone(), "always-the-same".parse().unwrap(), life)
            .unwrap()
            .to_text()
    };
    let ids: std::collections::HashSet<_> = (0..1000).map(|_| make()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn plain_ids_are_what_jamlib_makes() {
    let id = "a:b:565df195-b963-4ebb-8978-318998ef191c";
    let record = found(&PlainIds, id).unwrap();
    assert_eq!((record.key().as_str(), record.id()), ("a:b", id));
    for text in ["", ":", "user1", "user1:", ":x", "user1:a.b", "user1:~"] {
        assert!(found(&PlainIds, text).is_err(), "{text}");
    }
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let public = GOLDEN[0].0;
    let inner = InnerId::parse(public).unwrap();
    let (id, record_id) = HashedIds.issue(&inner).unwrap();
    let record = Record::new(&b"{\"pin\":1234}"[..], None);
    let shown = format!(
        "{inner:?} {id:?} {record_id:?} {record:?} {:?} {:?}",
        inner.key, inner.secret
    );
    for secret in ["Zb2nq0LdVv3m9Tq2wYx1gA", "user1", "565df195", "1234"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn only_a_bare_json_object_is_kept_as_json() {
    let is_json = |payload: &'static [u8]| Record::new(payload, None).as_json_object().is_some();
    for payload in [&b"{}"[..], b"{\"a\":1,\"a\":2}", b"{ \"a\" : [1, {}]\n}"] {
        assert!(is_json(payload));
    }
    for payload in [
        &b""[..],
        b" {}",
        b"{} ",
        b"{}{}",
        b"[]",
        b"{\"a\":\xff}",
        b"{a}",
        b"\"{}\"",
        b"{",
        b"}",
    ] {
        assert!(!is_json(payload), "{payload:?}");
    }
}

#[test]
fn record_ids_are_bounded() {
    let key = SessionKey::new("k").unwrap();
    assert!(RecordId::new(key.clone(), "").is_err());
    assert!(RecordId::new(key.clone(), "x".repeat(1025)).is_err());
    assert!(RecordId::new(key, "x".repeat(1024)).is_ok());
}
