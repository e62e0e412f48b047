//! Servers without expiry of fields: sessions without a ttl are shared, a ttl is refused.

use jam::ErrorKind;
use jam_tests::kind;
use serde_json::json;

use crate::stage::{Stage, data, with_every_jamlib};

with_every_jamlib!(old:
    without_a_ttl_sessions_are_shared,
    a_ttl_is_unsupported_and_leaves_nothing_behind,
);

async fn without_a_ttl_sessions_are_shared(stage: Stage) {
    let (jam, jamlib) = (stage.jam(None).await, stage.jamlib(None));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    assert_eq!(data(&jam, &theirs).await, Some(json!({"n": 1})));
    jam.update(&theirs, json!({"n": 2})).await.unwrap();
    jam.modify(&theirs, |data| data.insert("m".into(), json!(3)))
        .await
        .unwrap();
    assert_eq!(jamlib.get(&theirs), Some(json!({"n": 2, "m": 3})));
    let reworked = jam.rework(&theirs).await.unwrap();
    assert_eq!(jamlib.get(&theirs), None);
    assert_eq!(jamlib.get(reworked.as_str()), Some(json!({"n": 2, "m": 3})));
    stage.assert_whole_hash_stays("user1");

    let ours = jam.create("user1", json!({"n": 1})).await.unwrap();
    jamlib.update(ours.as_str(), &json!({"n": 2})).unwrap();
    let reworked = jamlib.rework(ours.as_str()).unwrap();
    assert_eq!(data(&jam, &reworked).await, Some(json!({"n": 2})));
    assert_eq!(jam.list("user1").await.unwrap().len(), 2);
    stage.assert_whole_hash_stays("user1");
    jamlib.delete(&reworked);
    assert_eq!(jam.clear("user1").await.unwrap(), 1);
    let theirs = jamlib.create("a:b", &json!({}));
    assert_eq!(data(&jam, &theirs).await, Some(json!({})));
    jamlib.clear("a:b");
    assert_eq!(data(&jam, &theirs).await, None);
}

async fn a_ttl_is_unsupported_and_leaves_nothing_behind(stage: Stage) {
    let endless = stage.jamlib(None);
    let theirs = endless.create("user1", &json!({"n": 1}));
    let jam = match stage.try_jam(Some(1000), json!({})).await {
        // Whether the server is asked at once or with the first write, the answer is the same.
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Unsupported),
        Ok(jam) => jam,
    };
    assert_eq!(kind(jam.create("user2", json!({})).await), ErrorKind::Unsupported);
    assert_eq!(stage.count("user2"), 0);
    assert_eq!(kind(jam.update(&theirs, json!({"n": 2})).await), ErrorKind::Unsupported);
    assert_eq!(kind(jam.rework(&theirs).await), ErrorKind::Unsupported);
    assert_eq!(endless.get(&theirs), Some(json!({"n": 1})));
    // What needs no ttl works.
    assert_eq!(data(&jam, &theirs).await, Some(json!({"n": 1})));
    assert!(jam.delete(&theirs).await.unwrap());

    // jamlib writes first and fails then.
    let mortal = stage.jamlib(Some(500));
    assert_eq!(
        mortal.try_create("user2", &json!({"n": 1})),
        Err("ResponseError".to_owned())
    );
    assert_eq!(jam.clear("user2").await.unwrap(), 1);
}
