//! Each of the six operations on a session that the other side made, the expiry of the field after each step.

use jam::{ErrorKind, IdCodec, PlainIds};
use jam_tests::kind;
use serde_json::json;

use crate::stage::{NOT_FOUND, Stage, data, with_every_jamlib};

with_every_jamlib!(new:
    what_jamlib_created_jam_reads_changes_and_ends,
    what_jam_created_jamlib_reads_changes_and_ends,
    a_session_changes_hands_as_often_as_it_likes,
    clear_ends_the_sessions_of_both,
    jam_lists_and_revokes_what_jamlib_created,
    what_the_server_holds_is_what_jamlib_would_write,
    a_key_with_colons_is_a_key_like_any_other_to_jam,
    what_is_no_session_is_none_to_either,
);

/// Told apart by their ttl: after each step the expiry says who wrote last.
const JAM: i64 = 1000;
const JAMLIB: i64 = 500;

async fn what_jamlib_created_jam_reads_changes_and_ends(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let id = jamlib.create("user1", &json!({"role": "admin", "n": 1}));
    stage.assert_ttl("user1", &id, JAMLIB);

    assert_eq!(data(&jam, &id).await, Some(json!({"role": "admin", "n": 1})));
    assert!(jam.exists(&id).await.unwrap());
    stage.assert_ttl("user1", &id, JAMLIB);

    jam.update(&id, json!({"n": 2})).await.unwrap();
    assert_eq!(jamlib.get(&id), Some(json!({"n": 2})));
    stage.assert_ttl("user1", &id, JAM);

    jam.modify(&id, |data| data.insert("m".into(), json!(3))).await.unwrap();
    assert_eq!(jamlib.get(&id), Some(json!({"n": 2, "m": 3})));

    let new = jam.rework(&id).await.unwrap().into_string();
    assert_eq!(jamlib.get(&id), None);
    assert_eq!(jamlib.update(&id, &json!({"late": true})), Err(NOT_FOUND.to_owned()));
    assert_eq!(jamlib.get(&new), Some(json!({"n": 2, "m": 3})));
    stage.assert_ttl("user1", &new, JAM);

    assert!(jam.delete(&new).await.unwrap());
    assert_eq!(jamlib.get(&new), None);
    assert_eq!(stage.count("user1"), 0);
}

async fn what_jam_created_jamlib_reads_changes_and_ends(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let id = jam
        .create("user1", json!({"role": "admin", "n": 1}))
        .await
        .unwrap()
        .into_string();
    stage.assert_ttl("user1", &id, JAM);

    assert_eq!(jamlib.get(&id), Some(json!({"role": "admin", "n": 1})));
    stage.assert_ttl("user1", &id, JAM);

    jamlib.update(&id, &json!({"n": 2})).unwrap();
    assert_eq!(data(&jam, &id).await, Some(json!({"n": 2})));
    stage.assert_ttl("user1", &id, JAMLIB);

    let new = jamlib.rework(&id).unwrap();
    assert_eq!(data(&jam, &id).await, None);
    assert_eq!(kind(jam.update(&id, json!({"late": true})).await), ErrorKind::NotFound);
    assert_eq!(kind(jam.rework(&id).await), ErrorKind::NotFound);
    assert_eq!(data(&jam, &new).await, Some(json!({"n": 2})));
    stage.assert_ttl("user1", &new, JAMLIB);

    jamlib.delete(&new);
    assert_eq!(data(&jam, &new).await, None);
    assert!(!jam.delete(&new).await.unwrap());
    assert_eq!(stage.count("user1"), 0);
}

async fn a_session_changes_hands_as_often_as_it_likes(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let mut id = jamlib.create("user1", &json!({"n": 0}));
    for n in 1..10 {
        jam.modify(&id, |data| data.insert("n".into(), json!(n))).await.unwrap();
        id = jamlib.rework(&id).unwrap();
        assert_eq!(data(&jam, &id).await, Some(json!({"n": n})));
        jamlib.update(&id, &json!({"n": -n})).unwrap();
        id = jam.rework(&id).await.unwrap().into_string();
        assert_eq!(jamlib.get(&id), Some(json!({"n": -n})));
        assert_eq!(stage.count("user1"), 1);
    }
}

async fn clear_ends_the_sessions_of_both(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 1})).await.unwrap();
    let other = jam.create("user2", json!({"n": 1})).await.unwrap();
    assert_eq!(jam.clear("user1").await.unwrap(), 2);
    assert_eq!(jamlib.get(&theirs), None);
    assert!(!jam.exists(&ours).await.unwrap());

    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 1})).await.unwrap();
    jamlib.clear("user1");
    assert!(!jam.exists(&theirs).await.unwrap());
    assert!(!jam.exists(&ours).await.unwrap());
    assert_eq!(jamlib.get(other.as_str()), Some(json!({"n": 1})));
}

async fn jam_lists_and_revokes_what_jamlib_created(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 2})).await.unwrap();
    let devices = jam.list("user1").await.unwrap();
    assert_eq!(devices.len(), 2);
    assert!(
        devices
            .iter()
            .all(|device| device.created().is_none() && device.expires_at().is_some())
    );
    assert!(!devices.iter().any(|device| theirs.contains(device.handle().as_str())));

    assert_eq!(jam.clear_others(&ours).await.unwrap(), 1);
    assert_eq!(jamlib.get(&theirs), None);
    let theirs = jamlib.create("user2", &json!({"n": 1}));
    let handle = jam.list("user2").await.unwrap().remove(0).handle().clone();
    assert!(jam.revoke("user2", &handle).await.unwrap());
    assert_eq!(jamlib.get(&theirs), None);
}

async fn what_the_server_holds_is_what_jamlib_would_write(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 1})).await.unwrap().into_string();
    let values = [stage.value("user1", &theirs), stage.value("user1", &ours)];
    if stage.secret.is_some() {
        for text in [&theirs, &ours, &values[0], &values[1]] {
            assert!(text.starts_with("J$_gAAAAA"), "{text}");
        }
        // The same padding, so the same lengths but for a space in the data, which fits in.
        assert_eq!(theirs.len(), ours.len());
        assert_eq!(values[0].len(), values[1].len());
    } else {
        for id in [&theirs, &ours] {
            assert_eq!(id.len(), "user1:".len() + 36);
            assert!(id.starts_with("user1:") && PlainIds.resolve(id).is_ok());
        }
        assert_eq!(values, [r#"{"n": 1}"#, r#"{"n":1}"#]);
    }
}

async fn a_key_with_colons_is_a_key_like_any_other_to_jam(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    for key in ["a:b", "a:", ":", "::x:"] {
        let id = jamlib.create(key, &json!({"n": 1}));
        // jamlib's own read goes by the first colon.
        assert_eq!(jamlib.get(&id), None, "{key}");

        assert_eq!(data(&jam, &id).await, Some(json!({"n": 1})), "{key}");
        jam.update(&id, json!({"n": 2})).await.unwrap();
        let id = jam.rework(&id).await.unwrap();
        assert_eq!(data(&jam, id.as_str()).await, Some(json!({"n": 2})), "{key}");
        assert_eq!(jam.list(key).await.unwrap().len(), 1);
        assert!(jam.delete(&id).await.unwrap());

        jamlib.create(key, &json!({"n": 1}));
        assert_eq!(jam.clear(key).await.unwrap(), 1);
        let id = jam.create(key, json!({"n": 1})).await.unwrap();
        jamlib.clear(key);
        assert!(!jam.exists(&id).await.unwrap());
    }
}

async fn what_is_no_session_is_none_to_either(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let id = jamlib.create("user1", &json!({"n": 1}));
    let (start, _) = id.split_at(id.len() - 4);
    for text in [
        "",
        "nonsense",
        "user1",
        "user1:",
        "J$_",
        "J$_gAAAAA==",
        start,
        &format!("{id}A"),
    ] {
        assert_eq!(data(&jam, text).await, None, "{text}");
        assert_eq!(kind(jam.update(text, json!({})).await), ErrorKind::NotFound);
        match jamlib.try_get(text) {
            Ok(found) => assert_eq!(found, None, "{text}"),
            Err(error) => assert!(stage.secret.is_some() && error == "InvalidToken", "{text}: {error}"),
        }
    }
    assert_eq!(data(&jam, &id).await, Some(json!({"n": 1})));
}
