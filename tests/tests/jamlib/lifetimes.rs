//! Whose ttl counts, and that it ends a session for both.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{Stage, data, with_every_jamlib};

with_every_jamlib!(new:
    what_expires_expires_for_both,
    without_a_ttl_sessions_stay,
    the_last_writer_says_whether_there_is_an_end,
    reading_renews_what_jamlib_created_if_it_is_to,
    the_cap_counts_what_jamlib_created,
);

async fn what_expires_expires_for_both(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1)).await, stage.jamlib(Some(1)));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 1})).await.unwrap();
    let begin = Instant::now();
    // The server's clock is the one that counts, and it cannot be turned.
    while stage.count("user1") > 0 || jam.exists(&ours).await.unwrap() {
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing expires");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for id in [theirs.as_str(), ours.as_str()] {
        assert_eq!(data(&jam, id).await, None);
        assert_eq!(jamlib.get(id), None);
    }
    assert!(jam.list("user1").await.unwrap().is_empty());
}

async fn without_a_ttl_sessions_stay(stage: Stage) {
    let (jam, jamlib) = (stage.jam(None).await, stage.jamlib(None));
    let mut id = jamlib.create("user1", &json!({"n": 1}));
    assert_eq!(stage.remaining("user1", &id), None);
    jam.update(&id, json!({"n": 2})).await.unwrap();
    assert_eq!(stage.remaining("user1", &id), None);
    id = jam.rework(&id).await.unwrap().into_string();
    assert_eq!(stage.remaining("user1", &id), None);
    id = jamlib.rework(&id).unwrap();
    assert_eq!(stage.remaining("user1", &id), None);
    assert_eq!(data(&jam, &id).await, Some(json!({"n": 2})));
}

async fn the_last_writer_says_whether_there_is_an_end(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let (endless_jam, endless_jamlib) = (stage.jam(None).await, stage.jamlib(None));
    let id = jam.create("user1", json!({"n": 1})).await.unwrap();
    endless_jamlib.update(id.as_str(), &json!({"n": 2})).unwrap();
    assert_eq!(stage.remaining("user1", id.as_str()), None);
    jam.update(&id, json!({"n": 3})).await.unwrap();
    stage.assert_ttl("user1", id.as_str(), 1000);
    endless_jam.update(&id, json!({"n": 4})).await.unwrap();
    assert_eq!(stage.remaining("user1", id.as_str()), None);
    jamlib.update(id.as_str(), &json!({"n": 5})).unwrap();
    stage.assert_ttl("user1", id.as_str(), 500);
    assert_eq!(data(&jam, id.as_str()).await, Some(json!({"n": 5})));
}

async fn reading_renews_what_jamlib_created_if_it_is_to(stage: Stage) {
    let jamlib = stage.jamlib(Some(500));
    let id = jamlib.create("user1", &json!({"n": 1}));
    let jam = stage.try_jam(Some(1000), json!({"renew_on_read": true})).await.unwrap();
    assert_eq!(data(&jam, &id).await, Some(json!({"n": 1})));
    stage.assert_ttl("user1", &id, 1000);
    let id = jamlib.rework(&id).unwrap();
    assert!(jam.touch(&id).await.unwrap());
    stage.assert_ttl("user1", &id, 1000);
    assert_eq!(jamlib.get(&id), Some(json!({"n": 1})));
}

async fn the_cap_counts_what_jamlib_created(stage: Stage) {
    let jamlib = stage.jamlib(Some(500));
    let jam = stage.try_jam(Some(1000), json!({"max_sessions": 2})).await.unwrap();
    for _ in 0..3 {
        jamlib.create("user1", &json!({"n": 1}));
    }
    let id = jam.create("user1", json!({"n": 2})).await.unwrap();
    assert_eq!(jam.list("user1").await.unwrap().len(), 2);
    assert!(jam.exists(&id).await.unwrap());
}
