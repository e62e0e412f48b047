//! The small values that everything else is made of: errors, times, versions, names; what they say, and where their bounds are.

use std::collections::{BTreeSet, HashSet};
use std::error::Error as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jam_core::memory::{Slot, Table};
use jam_core::{
    Clock, Cursor, Durability, Error, ErrorKind, Handle, HashedIds, IdCodec, IdFactory, InnerId, Layout, Life, Load,
    ManualClock, PlainIds, Record, RecordId, Renewal, Result, SealContext, SealDomain, Sealer, SessionId, SessionKey,
    Severity, StoreConfig, Stored, SystemClock, Timestamp, UuidV4, UuidV7, Version, did_you_mean,
};

#[test]
fn what_a_table_shows_is_how_much_it_holds() {
    let (table, id) = (
        Table::new(),
        RecordId::new(SessionKey::new("secret").unwrap(), "secret").unwrap(),
    );
    let slot = Slot {
        payload: "secret".into(),
        expires_at: None,
        version: 7,
    };
    let shown = format!("{slot:?}");
    assert!(
        shown.contains("payload_len: 6") && shown.contains("version: 7"),
        "{shown}"
    );
    table.write(id.key(), |shard| shard.put(&id, slot.clone()));
    let shard = table.read(id.key(), |shard| format!("{shard:?}"));
    assert!(shard.contains("len: 1"), "{shard}");
    let all = format!("{table:?}");
    assert!(all.contains("shards: 64"), "{all}");
    for shown in [shown, shard, all] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn each_kind_of_error_has_words_of_its_own() {
    let kinds = [
        (ErrorKind::NotFound, "not found"),
        (ErrorKind::AlreadyExists, "already exists"),
        (ErrorKind::Conflict, "conflict"),
        (ErrorKind::InvalidId, "invalid id"),
        (ErrorKind::InvalidInput, "invalid input"),
        (ErrorKind::LimitReached, "limit reached"),
        (ErrorKind::Unavailable, "unavailable"),
        (ErrorKind::Corrupt, "corrupt"),
        (ErrorKind::Crypto, "crypto"),
        (ErrorKind::Config, "configuration"),
        (ErrorKind::Unsupported, "unsupported"),
        (ErrorKind::Unexpected, "unexpected"),
    ];
    for (kind, words) in kinds {
        let error = Error::from(kind);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with(&format!("{words}: ")), "{error}");
        let retryable = matches!(kind, ErrorKind::Conflict | ErrorKind::Unavailable);
        assert_eq!(error.is_retryable(), retryable, "{words}");
        assert!(!error.with_outcome_unknown().is_retryable(), "{words}");
    }
    // What callers meet every day says what to do.
    let everyday = [0, 1, 2, 3].map(|at: usize| Error::from(kinds[at].0).message().to_owned());
    let different: BTreeSet<_> = everyday.iter().collect();
    assert_eq!(different.len(), 4, "{everyday:?}");
    assert!(
        !everyday
            .iter()
            .any(|message| message == Error::from(ErrorKind::Crypto).message())
    );
}

#[test]
fn an_error_shows_its_facts_in_order_and_its_cause_only_to_debug() {
    let error = Error::new(ErrorKind::Unavailable, "no answer").with("backend", "redis");
    let error = error
        .with("operation", "rework")
        .with_source(std::io::Error::other("a cause"));
    assert_eq!(
        error.to_string(),
        "unavailable: no answer (backend=redis, operation=rework)"
    );
    assert!(!error.outcome_unknown());
    let shown = format!("{error:?}");
    for part in [
        "Unavailable",
        "no answer",
        "backend: \"redis\"",
        "operation: \"rework\"",
        "a cause",
    ] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    assert!(!shown.contains("outcome_unknown"), "{shown}");
    let error = error.with_outcome_unknown();
    assert!(format!("{error:?}").contains("outcome_unknown: true"));
    assert!(error.outcome_unknown() && error.source().is_some());
    assert_eq!(Error::new(ErrorKind::Corrupt, "bare").to_string(), "corrupt: bare");
}

#[test]
fn debug_says_what_a_value_is_and_nothing_secret() {
    let id = RecordId::new(SessionKey::new("user1").unwrap(), "secret").unwrap();
    let stored = Stored::new("{}".into(), Version::from_counter(7));
    let life = Life::new(Timestamp::from_secs(1), None);
    let inner = InnerId::generate(SessionKey::new("user1").unwrap(), Handle::new("h").unwrap(), life).unwrap();
    let shown = [
        format!("{:?}", SessionId::new("secret")),
        format!("{id:?}"),
        format!("{:?}", id.key()),
        format!("{:?}", Record::new("{}", None)),
        format!("{stored:?}"),
        format!("{:?}", stored.version),
        format!("{:?}", Cursor::new("secret")),
        format!("{:?}", Handle::new("laptop").unwrap()),
        format!("{inner:?}"),
        format!("{:?}", inner.secret),
        format!("{:?}", &UuidV4 as &dyn IdFactory),
    ];
    let expected = [
        "SessionId { .. }",
        "RecordId { .. }",
        "SessionKey(5 bytes)",
        "Record { payload_len: 2, expires_at: None }",
        "Stored { payload_len: 2, .. }",
        "Version { .. }",
        "Cursor { .. }",
        "Handle(laptop)",
        "InnerId { .. }",
        "Secret { .. }",
        "IdFactory",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn moments_are_kept_within_their_bounds() {
    assert_eq!(Timestamp::from_millis(Timestamp::MAX.as_millis()), Timestamp::MAX);
    assert_eq!(Timestamp::from_millis(Timestamp::MAX.as_millis() + 1), Timestamp::MAX);
    assert_eq!(
        Timestamp::from_millis(Timestamp::MAX.as_millis() - 1).as_millis(),
        253_402_300_799_998
    );
    assert_eq!(Timestamp::from_secs(u64::MAX), Timestamp::MAX);
    let at = Timestamp::from_millis(61_999);
    assert_eq!((at.as_secs(), at.as_millis()), (61, 61_999));
    let second = Duration::from_secs(1);
    assert_eq!(
        (at.plus(second).as_millis(), at.minus(second).as_millis()),
        (62_999, 60_999)
    );
    assert_eq!(
        (at.plus(Duration::MAX), at.minus(Duration::MAX)),
        (Timestamp::MAX, Timestamp::ZERO)
    );
    assert_eq!(at.plus(second).since(at), second);
    assert_eq!(at.since(at.plus(second)), Duration::ZERO);
    let time = UNIX_EPOCH + Duration::from_millis(61_999);
    assert_eq!((Timestamp::from(time), SystemTime::from(at)), (at, time));
    assert_eq!(Timestamp::from(UNIX_EPOCH - second), Timestamp::ZERO);
}

#[test]
fn a_clock_shows_the_time_and_one_that_is_turned_what_it_was_turned_to() {
    let before = Timestamp::from(SystemTime::now());
    let now = SystemClock.now();
    assert!(before <= now && now <= Timestamp::from(SystemTime::now()));
    let clock = ManualClock::new(Timestamp::from_secs(10));
    assert_eq!(clock.now(), Timestamp::from_secs(10));
    clock.advance(Duration::from_secs(5));
    assert_eq!(clock.now(), Timestamp::from_secs(15));
    clock.set(Timestamp::from_secs(3));
    assert_eq!(clock.now(), Timestamp::from_secs(3));
}

#[test]
fn a_version_is_a_counter_or_content_and_nothing_of_the_other() {
    let (counter, content) = (Version::from_counter(7), Version::from_content("seven"));
    assert_eq!((counter.as_counter(), counter.as_content()), (Some(7), None));
    assert_eq!(content.as_counter(), None);
    assert_eq!(content.as_content().unwrap(), "seven");
    assert!(counter != content && counter != Version::from_counter(8));
    assert_eq!(Cursor::new("at").as_bytes(), b"at");
}

#[test]
fn a_renewal_is_due_before_both_its_moments_and_never_for_what_does_not_end() {
    let at = Timestamp::from_secs;
    let renewal = Renewal::new(at(20), at(10));
    assert!(renewal.is_due(Some(at(9))));
    assert!(!renewal.is_due(Some(at(10))) && !renewal.is_due(Some(at(15))) && !renewal.is_due(None));
    // Never shortens.
    let backwards = Renewal::new(at(5), at(10));
    assert!(backwards.is_due(Some(at(4))));
    assert!(!backwards.is_due(Some(at(5))) && !backwards.is_due(Some(at(7))));
    let how = Load::new().renew(renewal).fresh();
    assert_eq!((how.renew, how.fresh), (Some(renewal), true));
    assert_eq!(Load::new(), Load::default());
}

#[test]
fn handles_are_names_and_equal_by_their_text_alone() {
    for good in ["a", "Z", "0", "_", "-", &"h".repeat(Handle::MAX_LEN)] {
        let handle: Handle = good.parse().unwrap();
        assert_eq!(
            (handle.as_str(), handle.as_ref(), &*handle.to_string()),
            (good, good, good)
        );
    }
    for bad in ["", ".", "a.b", "a:b", "ä", "a b", &"h".repeat(Handle::MAX_LEN + 1)] {
        assert_eq!(Handle::new(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
    // One of a text of its own, and one at the start of a record's id.
    let own = Handle::new("laptop").unwrap();
    let record = "laptop.t3uznk.AAECAwQFBgcICQoLDA0ODw";
    let of_record = HashedIds
        .describe(&RecordId::new(SessionKey::new("user1").unwrap(), record).unwrap())
        .handle;
    assert_eq!(own, of_record);
    assert_eq!(HashSet::from([own.clone(), of_record]).len(), 1);
    let other = Handle::new("laptoq").unwrap();
    assert_ne!(own, other);
    assert!(own < other);
    assert_eq!(HashSet::from([own.clone(), other.clone()]).len(), 2);
    let hasher = RandomState::new();
    assert_ne!(
        hasher.hash_one(&own),
        hasher.hash_one(&other),
        "they would all be looked up in one place"
    );
    assert_eq!(own.partial_cmp(&other), Some(std::cmp::Ordering::Less));
}

#[test]
fn keys_and_ids_give_back_the_text_they_were_made_of() {
    let key: SessionKey = "user1".parse().unwrap();
    assert_eq!((key.as_str(), key.as_ref()), ("user1", "user1"));
    let longest = "k".repeat(SessionKey::MAX_LEN);
    assert_eq!(SessionKey::new(&longest).unwrap().as_str(), longest);
    for bad in [String::new(), format!("{longest}k")] {
        assert_eq!(SessionKey::new(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let id = RecordId::new(key.clone(), "one").unwrap();
    assert_eq!((id.key(), id.id(), id.is_reserved()), (&key, "one", false));
    assert!(RecordId::new(key, "one~").unwrap().is_reserved());
    for id in [
        SessionId::from("text"),
        SessionId::from("text".to_owned()),
        SessionId::new("text"),
    ] {
        assert_eq!(
            (id.as_str(), id.as_ref(), id.clone().into_string()),
            ("text", "text", "text".to_owned())
        );
    }
}

#[test]
fn what_an_id_factory_makes_is_a_handle_and_each_time_another_one() {
    let factories: [&dyn IdFactory; 3] = [&UuidV4, &UuidV7, &|| "fixed".to_owned()];
    for factory in factories {
        assert!(Handle::new(factory.next_id()).is_ok());
    }
    assert_eq!((UuidV4.next_id().len(), UuidV7.next_id().len()), (36, 36));
    assert_eq!(
        (&*UuidV4.next_id()[14..15].to_owned(), &UuidV7.next_id()[14..15]),
        ("4", "7")
    );
    assert!(UuidV4.next_id() != UuidV4.next_id() && UuidV7.next_id() != UuidV7.next_id());
    assert_eq!((|| "fixed".to_owned()).next_id(), "fixed");
}

#[test]
fn a_level_of_durability_says_in_doctor_what_it_survives() {
    assert_eq!(Durability::Sync.finding().severity, Severity::Fine);
    let os = Durability::Os.finding();
    assert_eq!(os.severity, Severity::Warning);
    assert!(os.found.contains("power cut") && os.advice.is_some());
}

/// Seals by turning bytes over, and says for which handle it was asked.
#[derive(Debug)]
struct Turning;

impl Sealer for Turning {
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        Ok([context.handle.as_str().as_bytes(), plain].concat())
    }

    fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(sealed[context.handle.as_str().len()..].to_vec())
    }
}

#[test]
fn a_shared_codec_or_sealer_does_what_the_one_in_it_does() {
    fn both_ways<S: Sealer>(sealer: &S, context: &SealContext<'_>) -> (Vec<u8>, Vec<u8>) {
        (
            sealer.seal(context, b"data").unwrap(),
            sealer.open(context, b"laptopdata").unwrap(),
        )
    }
    fn through<C: IdCodec>(codec: &C, inner: &InnerId) -> (RecordId, RecordId, Option<Life>, bool) {
        let (id, record) = codec.issue(inner).unwrap();
        let life = codec.describe(&record).life;
        (codec.resolve(id.as_str()).unwrap(), record, life, codec.keeps_life())
    }
    let life = Life::new(Timestamp::from_secs(1), None);
    let (key, handle) = (SessionKey::new("user1").unwrap(), Handle::new("laptop").unwrap());
    let inner = InnerId::generate(key.clone(), handle.clone(), life).unwrap();
    assert_eq!(through(&Arc::new(HashedIds), &inner), through(&HashedIds, &inner));
    assert_eq!(through(&Arc::new(PlainIds), &inner), through(&PlainIds, &inner));
    assert!(through(&HashedIds, &inner).3 && !through(&PlainIds, &inner).3);

    let record = RecordId::new(key, "id").unwrap();
    let context = SealContext::new(SealDomain::Data, &record, &handle, None);
    assert_eq!(context.key().as_str(), "user1");
    assert_eq!(
        both_ways(&Arc::new(Turning), &context),
        (b"laptopdata".into(), b"data".into())
    );
}

#[test]
fn a_stores_settings_say_where_they_come_from_and_what_is_wrong_with_them() {
    let url = "redis://:hunter2@localhost/1?size=0&count=11&on=true&off=false&maybe=perhaps";
    let mut config = StoreConfig::from_url(url).unwrap();
    assert_eq!((config.url(), config.scheme()), (Some(url), Some("redis")));
    assert_eq!(config.location(), Some("//:hunter2@localhost/1"));
    assert_eq!(config.boolean("on").unwrap(), Some(true));
    assert_eq!(config.boolean("off").unwrap(), Some(false));
    assert_eq!(config.boolean("unsaid").unwrap(), None);
    let error = config.boolean("maybe").unwrap_err();
    assert!(error.message().ends_with("`maybe` must be true or false"), "{error}");
    let error = config.integer("size", 1..=u64::MAX).unwrap_err();
    assert!(
        error.message().ends_with("`size` must be a whole number of at least 1"),
        "{error}"
    );
    let error = config.integer("count", 1..=10).unwrap_err();
    assert!(
        error.message().ends_with("`count` must be a whole number from 1 to 10"),
        "{error}"
    );
    assert!(!error.to_string().contains("hunter2"));
    // A `?` in a password that nobody encoded: what stands behind it looks like a field.
    for url in ["redis://user:s3c?hunter2@localhost/0", "redis://user:s3c?hunter2%20x=1"] {
        let config = StoreConfig::from_url(url).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }
    let config = StoreConfig::new("jam.toml", serde_json::Map::new());
    assert_eq!(
        (config.url(), config.scheme(), config.origin()),
        (None, None, "jam.toml")
    );
    let fields = serde_json::Map::from_iter([("ttl".to_owned(), 60.into())]);
    let shown = format!("{:?}", StoreConfig::new("jam.toml", fields));
    assert!(shown.contains("jam.toml") && shown.contains("`ttl`"), "{shown}");
    assert_eq!(config.layout(), Layout::default());
    assert_eq!(config.with_layout(Layout::Jamlib).layout(), Layout::Jamlib);
}

#[test]
fn what_is_meant_differs_in_a_third_of_its_letters_at_most() {
    for (name, meant) in [
        ("xy", None),
        ("ax", Some("a")),
        ("abcdxy", Some("abcdef")),
        ("abcxyz", None),
        ("ABCDE-F", Some("abcde_f")),
    ] {
        assert_eq!(did_you_mean(name, &["a", "abcdef", "abcde_f"]), meant, "{name}");
    }
}
