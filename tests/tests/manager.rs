//! What the manager promises, on every store: the six operations, logging in, what data may be.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::duration_suboptimal_units, reason = "lifetimes are set in seconds")]

use std::time::Duration;

use jam::{ErrorKind, PlainIds, Session, SessionOptions, Sessions, Timestamp, WhenFull};
use jam_crypto::{FernetIds, FernetSealer, KeyRing};
use jam_tests::{Stage, data, kind, on_every_store};
use serde_json::{Value, json};

on_every_store!(
    the_six_operations_do_what_they_say,
    an_empty_object_is_data_like_any_other,
    data_that_is_no_object_is_refused,
    what_is_no_session_id_is_no_session,
    a_record_id_is_no_session_id,
    hostile_session_keys_work_like_any_other,
    rework_keeps_data_handle_and_creation,
    logging_in_leaves_nothing_at_the_old_id,
    logging_in_again_as_the_same_user_begins_a_new_life,
    jamlib_ids_work_and_refuse_what_they_cannot_carry,
    jamlib_ids_stay_unguessable_with_a_cap,
    the_encryption_of_jamlib_works_on_every_store,
    a_commit_writes_only_what_was_loaded,
    typed_data_goes_in_and_out,
    after_close_every_call_is_unavailable,
    a_serializer_of_ones_own_decides_what_is_kept,
    what_goes_in_comes_out_as_it_was_or_is_refused,
);

async fn the_six_operations_do_what_they_say(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"role": "admin"})).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(json!({"role": "admin"})));

    sessions.update(&id, json!({"role": "banned"})).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(json!({"role": "banned"})));

    let new_id = sessions.rework(&id).await.unwrap();
    assert_ne!(id, new_id);
    assert_eq!(data(&sessions, &id).await, None);
    assert_eq!(data(&sessions, &new_id).await, Some(json!({"role": "banned"})));

    assert!(sessions.delete(&new_id).await.unwrap());
    assert!(!sessions.delete(&new_id).await.unwrap());
    assert_eq!(data(&sessions, &new_id).await, None);

    let other = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(sessions.clear("user1").await.unwrap(), 1);
    assert!(!sessions.exists(&other).await.unwrap());
}

async fn an_empty_object_is_data_like_any_other(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(json!({})));
    sessions.update(&id, json!({})).await.unwrap();
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(json!({})));
}

async fn data_that_is_no_object_is_refused(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    for (wrong, what) in [
        (json!(null), "null"),
        (json!([1]), "a list"),
        (json!("text"), "a text"),
        (json!(1), "a number"),
        (json!(true), "a truth value"),
        (json!(false), "a truth value"),
    ] {
        let error = sessions.create("user1", &wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().ends_with(&format!("and not {what}")), "{error}");
        assert_eq!(kind(sessions.update(&id, &wrong).await), ErrorKind::InvalidInput);
    }
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1})));
}

async fn what_is_no_session_id_is_no_session(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    let shortened = &id.as_str()[..id.as_str().len() - 1];
    let padded = format!("{} ", id.as_str());
    for text in [
        "",
        ":",
        "user1",
        "user1:",
        "user1:x.y.z",
        "\0",
        "../../etc/passwd",
        shortened,
        &padded,
    ] {
        assert!(sessions.get(text).await.unwrap().is_none());
        assert!(!sessions.exists(text).await.unwrap());
        assert!(!sessions.touch(text).await.unwrap());
        assert!(!sessions.delete(text).await.unwrap());
        assert_eq!(kind(sessions.update(text, json!({})).await), ErrorKind::NotFound);
        assert_eq!(kind(sessions.rework(text).await), ErrorKind::NotFound);
        assert_eq!(
            kind(sessions.rework_as(text, "user2", SessionOptions::new()).await),
            ErrorKind::NotFound
        );
        assert_eq!(kind(sessions.modify(text, |_| ()).await), ErrorKind::NotFound);
        assert_eq!(kind(sessions.clear_others(text).await), ErrorKind::NotFound);
    }
    assert!(sessions.exists(&id).await.unwrap());
}

async fn a_record_id_is_no_session_id(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    for entry in stage.store.list(&"user1".parse().unwrap()).await.unwrap() {
        let leaked = format!("user1:{}", entry.id.id());
        assert_ne!(leaked, id.as_str());
        assert!(
            sessions.get(&leaked).await.unwrap().is_none(),
            "what the store holds opens a session"
        );
    }
}

async fn hostile_session_keys_work_like_any_other(stage: Stage) {
    let sessions = stage.sessions();
    let long = "k".repeat(512);
    let keys = [
        "a",
        "a:b:c",
        "a.b",
        "../../x",
        "/",
        " ",
        "\0",
        "a\nb",
        "é",
        "e\u{301}",
        "A",
        "👩‍👩‍👧",
        "مرحبا",
        "*",
        "a~",
        &long,
    ];
    let mut ids = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        ids.push(sessions.create(key, json!({"number": number})).await.unwrap());
    }
    for (number, (key, id)) in keys.iter().zip(&ids).enumerate() {
        let session = sessions.get(id).await.unwrap().expect("a session of a hostile key");
        assert_eq!(session.key().as_str(), *key);
        assert_eq!(session.get::<usize>("number").unwrap(), Some(number));
        assert_eq!(sessions.list(key).await.unwrap().len(), 1);
    }
    for key in ["", &"k".repeat(513)] {
        assert_eq!(kind(sessions.create(key, json!({})).await), ErrorKind::InvalidInput);
        assert_eq!(kind(sessions.list(key).await), ErrorKind::InvalidInput);
        assert_eq!(kind(sessions.clear(key).await), ErrorKind::InvalidInput);
    }
}

async fn rework_keeps_data_handle_and_creation(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let before: Session = sessions.get(&id).await.unwrap().unwrap();
    stage.advance(60);
    let id = sessions.rework(&id).await.unwrap();
    let after = sessions.get(&id).await.unwrap().unwrap();
    assert_eq!(before.handle(), after.handle());
    assert_eq!(before.created(), after.created());
    assert_eq!(before.data().unwrap(), after.data().unwrap());
    assert_eq!(after.created(), Some(Stage::START));
}

async fn logging_in_leaves_nothing_at_the_old_id(stage: Stage) {
    let sessions = stage.builder().grace(Duration::from_secs(60)).build().unwrap();
    let planted = sessions.create("visitor", json!({"cart": [1]})).await.unwrap();
    stage.advance(60);
    let id = sessions
        .rework_as(&planted, "user1", SessionOptions::new())
        .await
        .unwrap();
    assert_eq!(data(&sessions, &planted).await, None);
    assert!(sessions.list("visitor").await.unwrap().is_empty());
    let session = sessions.get(&id).await.unwrap().unwrap();
    assert_eq!(session.key().as_str(), "user1");
    assert_eq!(session.get::<Vec<u8>>("cart").unwrap(), Some(vec![1]));
    assert_eq!(
        session.created(),
        Some(Stage::START.plus(Duration::from_secs(60))),
        "a login is a new life"
    );
    assert_eq!(
        kind(sessions.rework_as(&planted, "user1", SessionOptions::new()).await),
        ErrorKind::NotFound
    );
}

async fn logging_in_again_as_the_same_user_begins_a_new_life(stage: Stage) {
    let sessions = stage.builder().max_lifetime(Duration::from_secs(100)).build().unwrap();
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    stage.advance(99);
    let id = sessions.rework_as(&id, "user1", SessionOptions::new()).await.unwrap();
    stage.advance(99);
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1})));
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
}

async fn jamlib_ids_work_and_refuse_what_they_cannot_carry(stage: Stage) {
    let sessions = stage.builder().ids(PlainIds).build().unwrap();
    let id = sessions.create("a:b", json!({"a": 1})).await.unwrap();
    assert!(id.as_str().starts_with("a:b:"));
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1})));
    let new_id = sessions.rework(&id).await.unwrap();
    assert_eq!(data(&sessions, &id).await, None);
    assert_eq!(data(&sessions, &new_id).await, Some(json!({"a": 1})));
    let devices = sessions.list("a:b").await.unwrap();
    assert_eq!(devices[0].created(), None);
    assert!(
        !new_id.as_str().contains(devices[0].handle().as_str()),
        "the handle gives the id away"
    );
    assert!(sessions.revoke("a:b", devices[0].handle()).await.unwrap());

    let options = SessionOptions::new().ttl(Duration::from_secs(10));
    assert_eq!(
        kind(sessions.create_with("a:b", json!({}), options).await),
        ErrorKind::Config
    );
    let second = Duration::from_secs(1);
    assert_eq!(
        kind(stage.builder().ids(PlainIds).max_lifetime(second).build()),
        ErrorKind::Config
    );
    assert_eq!(
        kind(stage.builder().ids(PlainIds).grace(second).build()),
        ErrorKind::Config
    );
}

async fn jamlib_ids_stay_unguessable_with_a_cap(stage: Stage) {
    let capped = stage.builder().ids(PlainIds).max_sessions(3, WhenFull::EvictOldest);
    let id = capped.build().unwrap().create("user1", json!({})).await.unwrap();
    // The version of the UUID: one that holds a time is guessed more easily.
    assert_eq!(&id.as_str()["user1:565df195-b963-".len()..][..1], "4");
}

async fn the_encryption_of_jamlib_works_on_every_store(stage: Stage) {
    let ring: KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let builder = stage.builder().ids(FernetIds::new(ring.clone()));
    let sessions = builder.sealer(FernetSealer::new(ring)).build().unwrap();
    // The longest key gives the longest id.
    for key in ["a:b", &"k".repeat(512)] {
        let id = sessions.create(key, json!({"pin": "hidden"})).await.unwrap();
        let kept = stage.store.list(&key.parse().unwrap()).await.unwrap().remove(0);
        assert_eq!(kept.id.id(), id.as_str());
        assert!(kept.stored.payload.starts_with(b"J$_gAAAAA"));
        sessions.update(&id, json!({"n": 1})).await.unwrap();
        let id = sessions.rework(&id).await.unwrap();
        assert_eq!(data(&sessions, &id).await, Some(json!({"n": 1})));
        let devices = sessions.list(key).await.unwrap();
        assert!(sessions.revoke(key, devices[0].handle()).await.unwrap());
        assert_eq!(data(&sessions, &id).await, None);
    }
}

async fn a_commit_writes_only_what_was_loaded(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"a": 1, "b": 1})).await.unwrap();
    let mut first = sessions.get(&id).await.unwrap().unwrap();
    let mut second = sessions.get(&id).await.unwrap().unwrap();
    let untouched = sessions.get(&id).await.unwrap().unwrap();
    first.insert("a", 2).unwrap();
    second.insert("b", 2).unwrap();
    assert_eq!(second.remove("a").unwrap(), Some(json!(1)));
    sessions.commit(first).await.unwrap();
    assert_eq!(kind(sessions.commit(second).await), ErrorKind::Conflict);
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 2, "b": 1})));
    sessions.commit(untouched).await.unwrap();

    let mut late = sessions.get(&id).await.unwrap().unwrap();
    late.insert("a", 3).unwrap();
    sessions.delete(&id).await.unwrap();
    assert_eq!(kind(sessions.commit(late).await), ErrorKind::NotFound);
    assert_eq!(data(&sessions, &id).await, None);
}

async fn typed_data_goes_in_and_out(stage: Stage) {
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    struct Cart {
        items: Vec<u32>,
        note: Option<String>,
    }
    let sessions = stage.sessions();
    let cart = Cart {
        items: vec![1, 2],
        note: None,
    };
    let id = sessions.create("user1", &cart).await.unwrap();
    assert_eq!(sessions.get_as::<Cart>(&id).await.unwrap(), Some(cart));
    sessions.update(&id, json!({"items": "my secret"})).await.unwrap();
    let error = sessions.get_as::<Cart>(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("my secret"));
    let refused = sessions.try_modify(&id, |_| Err::<(), _>("no")).await.unwrap();
    assert_eq!(refused, Err("no"));
}

async fn after_close_every_call_is_unavailable(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({})).await.unwrap();
    sessions.close().await.unwrap();
    sessions.close().await.unwrap();
    assert_eq!(kind(sessions.get(&id).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.create("user1", json!({})).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.update(&id, json!({})).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.rework(&id).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.delete(&id).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.clear("user1").await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.list("user1").await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.remove_expired().await), ErrorKind::Unavailable);
}

#[test]
fn a_time_before_the_epoch_is_the_epoch() {
    let before = std::time::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(Timestamp::from(before), Timestamp::ZERO);
}

/// Keeps data as `name=value` lines, as an application with a form of its own might.
#[derive(Debug)]
struct Lines;

impl jam::Serializer for Lines {
    fn serialize(&self, data: &jam::Data) -> jam::Result<Vec<u8>> {
        let line = |(name, value): (&String, &Value)| format!("{name}={}\n", value.as_str().unwrap_or_default());
        Ok(data.iter().map(line).collect::<String>().into_bytes())
    }

    fn deserialize(&self, payload: &[u8]) -> jam::Result<jam::Data> {
        let text = str::from_utf8(payload).map_err(|_| jam::Error::from(ErrorKind::Corrupt))?;
        let pair = |line: &str| {
            line.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.into()))
        };
        text.lines()
            .map(pair)
            .collect::<Option<_>>()
            .ok_or_else(|| ErrorKind::Corrupt.into())
    }
}

async fn a_serializer_of_ones_own_decides_what_is_kept(stage: Stage) {
    let sessions = stage.builder().serializer(std::sync::Arc::new(Lines)).build().unwrap();
    let id = sessions.create("user1", json!({"role": "admin"})).await.unwrap();
    sessions
        .modify(&id, |data| data.insert("place".into(), "Lisbon".into()))
        .await
        .unwrap();
    assert_eq!(
        data(&sessions, &id).await,
        Some(json!({"place": "Lisbon", "role": "admin"}))
    );
    assert_eq!(kind(sessions.create("user1", "text").await), ErrorKind::InvalidInput);
}

async fn what_goes_in_comes_out_as_it_was_or_is_refused(stage: Stage) {
    let sessions = stage.sessions();
    let numbers = json!({"float": -9_499_335_818.248_577, "small": 0.1, "big": u64::MAX, "low": i64::MIN, "text": "99999999999999999999"});
    let id = sessions.create("user1", &numbers).await.unwrap();
    sessions
        .modify(&id, |data| data.insert("other".into(), true.into()))
        .await
        .unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    session.remove("other").unwrap();
    assert_eq!(Value::Object(session.data().unwrap().clone()), numbers);

    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"in": inner}));
    let id = sessions.create("user1", nested(127)).await.unwrap();
    assert!(sessions.get(&id).await.unwrap().unwrap().data().is_ok());
    assert_eq!(
        kind(sessions.create("user1", nested(128)).await),
        ErrorKind::InvalidInput
    );
    let wide = std::collections::BTreeMap::from([("number", u128::from(u64::MAX) + 1)]);
    assert_eq!(kind(sessions.update(&id, wide).await), ErrorKind::InvalidInput);
    let low = std::collections::BTreeMap::from([("number", i128::from(i64::MIN) - 1)]);
    assert_eq!(kind(sessions.update(&id, low).await), ErrorKind::InvalidInput);
}

#[test]
fn a_manager_shows_its_settings_and_no_more() {
    let builder = Sessions::builder(jam::MemoryStore::new()).ttl(Duration::from_secs(60));
    let shown = format!("{:?}", builder.grace(Duration::from_secs(30)).build().unwrap());
    for part in [
        "store: \"memory\"",
        "HashedIds",
        "sealed: false",
        "60s",
        "cap: None",
        "grace: Some(30s)",
    ] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
}

#[test]
fn settings_out_of_bounds_are_refused_when_the_manager_is_built() {
    let builder = || Sessions::builder(jam::MemoryStore::new());
    let seconds = Duration::from_secs;
    for wrong in [
        builder().ttl(Duration::from_millis(999)),
        builder().max_lifetime(Duration::ZERO),
        builder().max_lifetime(Duration::from_millis(999)),
        builder().grace(Duration::from_millis(999)),
        builder().grace(seconds(301)),
        builder().max_sessions(0, WhenFull::Refuse),
        builder().max_attempts(0),
        builder().ids(PlainIds).ttl(None).max_sessions(1, WhenFull::Refuse),
        builder().ids(PlainIds).max_lifetime(seconds(60)),
        builder().ids(PlainIds).grace(seconds(1)),
    ] {
        assert_eq!(wrong.build().unwrap_err().kind(), ErrorKind::Config);
    }
    for right in [
        builder().grace(seconds(1)),
        builder().grace(seconds(300)),
        builder().ttl(None).max_attempts(1),
        builder().ttl(seconds(1)).max_lifetime(seconds(1)),
        builder().ttl(None).max_sessions(1, WhenFull::Refuse),
        builder().ids(PlainIds).max_sessions(1, WhenFull::Refuse),
        builder().ids(PlainIds).ttl(None),
    ] {
        assert!(right.build().is_ok());
    }
}

#[tokio::test]
async fn one_attempt_is_enough_where_nobody_else_is_at_work() {
    let builder = Sessions::builder(jam::MemoryStore::new()).grace(Duration::from_secs(30));
    let sessions = builder.max_attempts(1).build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    let handle = sessions.list("user1").await.unwrap().remove(0).handle().to_string();
    for _ in 0..2 {
        sessions.create("user1", json!({})).await.unwrap();
    }
    assert_eq!(sessions.clear_others(&id).await.unwrap(), 2);
    let rotated = sessions.rework_with_grace(&id).await.unwrap();
    sessions.update(&id, json!({"seen": true})).await.unwrap();
    assert_eq!(data(&sessions, &rotated).await, Some(json!({"seen": true})));
    assert!(sessions.touch(&id).await.unwrap());
    assert!(sessions.delete(&id).await.unwrap());
    assert!(!sessions.exists(&rotated).await.unwrap());
    assert!(!sessions.revoke("user1", &handle).await.unwrap());
    let id = sessions.create("user1", json!({})).await.unwrap();
    let handle = sessions.list("user1").await.unwrap().remove(0).handle().to_string();
    assert!(sessions.revoke("user1", &handle).await.unwrap());
    assert!(!sessions.exists(&id).await.unwrap());
}

#[tokio::test]
async fn what_web_layers_ask_of_a_manager_is_told() {
    let clock = std::sync::Arc::new(jam::ManualClock::new(Timestamp::from_secs(1_000)));
    let builder = || Sessions::builder(jam::MemoryStore::with_clock(clock.clone())).clock(clock.clone());
    let sessions = builder().build().unwrap();
    let ttl = Duration::from_secs(60);
    let options = SessionOptions::new().ttl(ttl);
    let id = sessions.create_with("user1", json!({}), options).await.unwrap();
    let life = sessions.life(&id).unwrap();
    assert_eq!((life.created(), life.ttl()), (Timestamp::from_secs(1_000), Some(ttl)));
    assert_eq!(sessions.life("no id"), None);
    for renews in [true, false] {
        let sessions = builder().renew_on_read(renews).build().unwrap();
        assert_eq!(sessions.renews_on_read(), renews);
    }
    let info = sessions.list("user1").await.unwrap().remove(0);
    let shown = format!("{info:?}");
    assert!(shown.contains(&info.handle().to_string()), "{shown}");
    assert!(!shown.contains("user1"), "{shown}");
    let session = sessions.get(&id).await.unwrap().unwrap();
    let shown = format!("{session:?}");
    assert!(shown.contains(&info.handle().to_string()), "{shown}");
    assert!(!shown.contains("user1"), "{shown}");
}

/// What could not be read back is found by its brackets and digits; those of texts, and many in a row, are none of it.
#[tokio::test]
async fn wide_data_and_texts_full_of_brackets_are_no_deep_data() {
    let sessions = Sessions::new(jam::MemoryStore::new());
    let text = "[".repeat(200);
    for wide in [
        json!({"lists": vec![json!([{}]); 200]}),
        json!({"text": text, "escaped": format!("\\\"{text}\"\\{text}"), "more": {"text": text}}),
    ] {
        let id = sessions.create("user1", &wide).await.unwrap();
        assert_eq!(data(&sessions, &id).await, Some(wide));
    }
}
