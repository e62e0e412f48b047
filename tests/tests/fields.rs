//! Changing a loaded session field by field, on every store: what is read back is what was there, with the changes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jam::ErrorKind;
use jam_tests::{Stage, data, kind, on_every_store};
use serde_json::{Value, json};

on_every_store!(
    a_changed_session_reads_as_it_will_be_written,
    fields_that_are_set_and_taken_out_leave_the_others_alone,
    many_fields_are_changed_like_few,
    a_field_that_could_not_be_read_back_is_refused,
);

async fn a_changed_session_reads_as_it_will_be_written(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions
        .create("user1", json!({"a": 1, "b": [true], "c": "x"}))
        .await
        .unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    session.insert("a", 2).unwrap();
    assert_eq!(session.remove("b").unwrap(), Some(json!([true])));
    assert_eq!(session.get::<u64>("a").unwrap(), Some(2));
    assert_eq!(session.get::<Value>("b").unwrap(), None);
    let twin = session.clone();
    // From here on the data is there as a whole.
    assert_eq!(json!(session.data().unwrap()), json!({"a": 2, "c": "x"}));
    session.insert("d", "ü\n").unwrap();
    session.data_mut().unwrap().insert("e".to_owned(), Value::Null);
    assert_eq!(session.remove("c").unwrap(), Some(json!("x")));
    assert_eq!(session.get::<String>("d").unwrap().as_deref(), Some("ü\n"));
    let expected = json!({"a": 2, "d": "ü\n", "e": null});
    assert_eq!(session.data_as::<Value>().unwrap(), expected);
    sessions.commit(session).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(expected));
    assert_eq!(json!(twin.data().unwrap()), json!({"a": 2, "c": "x"}));
    assert_eq!(kind(sessions.commit(twin).await), ErrorKind::Conflict);
}

async fn fields_that_are_set_and_taken_out_leave_the_others_alone(stage: Stage) {
    let sessions = stage.sessions();
    let before =
        json!({"": 0, "quo\"te": "}", "float": 0.1, "low": i64::MIN, "deep": {"a": [{"b": null}]}, "ä": "\u{1f600}"});
    let id = sessions.create("user1", &before).await.unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    session.insert("quo\"te", "{").unwrap();
    session.insert("new\\", [1]).unwrap();
    assert_eq!(session.remove("nobody").unwrap(), None);
    sessions.commit(session).await.unwrap();
    let mut expected = before;
    expected["quo\"te"] = json!("{");
    expected["new\\"] = json!([1]);
    assert_eq!(data(&sessions, &id).await, Some(expected));
}

async fn many_fields_are_changed_like_few(stage: Stage) {
    let sessions = stage.sessions();
    let fields = |count: usize| (0..count).map(|field| (format!("f{field}"), json!(field)));
    let mut expected: jam::Data = fields(60).collect();
    let id = sessions.create("user1", &expected).await.unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    for (field, value) in fields(200).skip(50) {
        session.insert(&field, &value).unwrap();
        expected.insert(field, value);
    }
    assert_eq!(session.remove("f150").unwrap(), expected.remove("f150"));
    assert_eq!(session.get::<usize>("f199").unwrap(), Some(199));
    sessions.commit(session).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(Value::Object(expected)));
}

async fn a_field_that_could_not_be_read_back_is_refused(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(kind(session.insert("deep", nested(127))), ErrorKind::InvalidInput);
    assert_eq!(kind(session.insert("wide", u128::MAX)), ErrorKind::InvalidInput);
    assert_eq!(
        kind(session.insert("a", std::collections::BTreeMap::from([([1], 1)]))),
        ErrorKind::InvalidInput
    );
    session.insert("deep", nested(126)).unwrap();
    sessions.commit(session).await.unwrap();
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1, "deep": nested(126)})));
}
