//! Every operation, on every store.

use std::time::Duration;

use jam::blocking::Sessions;
use jam::{Config, ErrorKind, SessionOptions};
use jam_tests::{Stage, kind};
use serde_json::{Value, json};

use crate::support::*;

on_every_store_blocking!(every_operation_does_what_the_async_one_does, a_closed_manager_says_so);

fn data(sessions: &Sessions, id: impl AsRef<str>) -> Option<Value> {
    let session = sessions.get(id).unwrap()?;
    Some(Value::Object(session.data().unwrap().clone()))
}

fn every_operation_does_what_the_async_one_does(stage: impl Future<Output = Stage>) {
    let minute = Duration::from_mins(1);
    let (stage, sessions) = open(stage, |builder| builder.grace(minute).renew_on_read(true));
    assert_eq!(sessions.grace(), Some(minute));
    assert!(sessions.renews_on_read());
    assert_eq!(sessions.clock().now(), Stage::START);
    assert_eq!(sessions.store().name(), stage.store.name());

    let id = sessions.create("user1", json!({"visits": 1})).unwrap();
    assert_eq!(data(&sessions, &id), Some(json!({"visits": 1})));
    assert_eq!(sessions.lifetime(&id), Some(Duration::from_hours(1)));
    assert_eq!(sessions.life(&id).unwrap().created(), Stage::START);
    sessions.update(&id, json!({"visits": 2})).unwrap();
    let visits = sessions.modify(&id, |data| {
        data["visits"] = json!(data["visits"].as_u64().unwrap() + 1);
        data["visits"].clone()
    });
    assert_eq!(visits.unwrap(), json!(3));
    let refused = sessions.try_modify(&id, |data| {
        data.clear();
        Err::<(), _>("no")
    });
    assert_eq!(refused.unwrap(), Err("no"));
    assert_eq!(sessions.get_as::<Value>(&id).unwrap(), Some(json!({"visits": 3})));
    let (mut early, mut late) = (sessions.get(&id).unwrap().unwrap(), sessions.get(&id).unwrap().unwrap());
    early.insert("by", "early").unwrap();
    late.insert("by", "late").unwrap();
    sessions.commit(early).unwrap();
    assert_eq!(kind(sessions.commit(late)), ErrorKind::Conflict);
    stage.advance(3000);
    assert!(sessions.touch(&id).unwrap());
    stage.advance(3000);
    assert!(sessions.exists(&id).unwrap());
    assert!(sessions.get_fresh(&id).unwrap().is_some());

    let reworked = sessions.rework(&id).unwrap();
    assert_eq!(data(&sessions, &id), None);
    let rotated = sessions.rework_with_grace(&reworked).unwrap();
    assert!(sessions.get(&reworked).unwrap().unwrap().through_grace());
    let session = sessions.get(&rotated).unwrap().unwrap();
    let again = sessions.rework_loaded_with_grace(&session).unwrap().unwrap();
    assert_eq!(sessions.rework_loaded_with_grace(&session).unwrap(), None);
    let session = sessions.get(&again).unwrap().unwrap();
    sessions.mark_superseded(&session, minute).unwrap();
    assert!(sessions.was_superseded(&again).unwrap());
    let options = SessionOptions::new().ttl(Duration::from_hours(30 * 24));
    let login = sessions.rework_as(&again, "user2", options).unwrap();
    assert_eq!(data(&sessions, &login), Some(json!({"visits": 3, "by": "early"})));
    assert!(!sessions.delete_superseded(&again).unwrap(), "it is another user's");
    assert!(
        !sessions.delete_superseded_as(&again, "user3").unwrap(),
        "nor is it theirs"
    );

    let other = sessions.create_with("user2", json!({}), options).unwrap();
    let more = sessions.create("user2", json!({})).unwrap();
    let listed = sessions.list("user2").unwrap();
    assert_eq!(listed.len(), 3);
    let handle = sessions.get(&other).unwrap().unwrap().handle().clone();
    assert!(sessions.revoke("user2", &handle).unwrap());
    assert!(!sessions.exists(&other).unwrap());
    assert_eq!(sessions.clear_others(&login).unwrap(), 1);
    assert!(!sessions.exists(&more).unwrap());
    assert!(sessions.delete(&login).unwrap());
    assert!(!sessions.delete(&login).unwrap());
    assert_eq!(kind(sessions.update(&login, json!({}))), ErrorKind::NotFound);

    sessions.create("user3", json!({})).unwrap();
    stage.advance(7200);
    // How many records, and who removes them, is the store's affair.
    sessions.remove_expired().unwrap();
    assert_eq!(sessions.list("user3").unwrap().len(), 0);
    sessions.create("user3", json!({})).unwrap();
    assert_eq!(sessions.clear("user3").unwrap(), 1);
    sessions.close().unwrap();
}

fn a_closed_manager_says_so(stage: impl Future<Output = Stage>) {
    let (_stage, sessions) = open(stage, |builder| builder);
    let id = sessions.create("user1", json!({})).unwrap();
    let clone = sessions.clone();
    sessions.close().unwrap();
    assert_eq!(kind(clone.get(&id)), ErrorKind::Unavailable);
    clone.close().unwrap();
}

#[test]
fn it_opens_what_a_url_a_config_and_a_builder_say() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?ttl=60", folder.path().join("sessions.db").display());
    let opened = jam::blocking::open(&url).unwrap();
    let id = opened.create("user1", json!({"n": 1})).unwrap();
    assert_eq!(opened.lifetime(&id), Some(Duration::from_mins(1)));
    opened.close().unwrap();
    drop(opened);
    let again = Sessions::from_config(Config::from_url(&url).unwrap()).unwrap();
    assert_eq!(data(&again, &id), Some(json!({"n": 1})));

    let built = Sessions::builder(jam::MemoryStore::new()).ttl(Duration::from_mins(2));
    let built = built.max_sessions(1, jam::WhenFull::Refuse).build().unwrap();
    let id = built.create("user1", json!({})).unwrap();
    assert_eq!(built.lifetime(&id), Some(Duration::from_mins(2)));
    assert_eq!(kind(built.create("user1", json!({}))), ErrorKind::LimitReached);
    let shared = Sessions::builder_on(built.store().clone()).build().unwrap();
    assert!(shared.exists(&id).unwrap());
    assert!(!Sessions::new(jam::MemoryStore::new()).unwrap().exists(&id).unwrap());
}

#[test]
fn what_cannot_be_opened_gives_its_own_error() {
    assert_eq!(kind(jam::blocking::open("jsno:x")), ErrorKind::Config);
    assert_eq!(kind(jam::blocking::open("memory:?ttl=0")), ErrorKind::Config);
    let wrong = Sessions::builder(jam::MemoryStore::new()).ttl(Duration::ZERO);
    assert_eq!(kind(wrong.build()), ErrorKind::Config);
}
