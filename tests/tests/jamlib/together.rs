//! Both at once on the same session key.

use std::sync::Arc;

use serde_json::json;

use crate::python::Python;
use crate::stage::{Stage, data, with_every_jamlib};

with_every_jamlib!(new: at_the_same_time_neither_loses_what_the_other_wrote);

async fn at_the_same_time_neither_loses_what_the_other_wrote(stage: Stage) {
    const ROUNDS: u64 = 60;
    let jam = Arc::new(stage.jam(Some(1000)).await);
    let jamlib = stage.jamlib_of(Python::start(), Some(500));
    let counter = jam.create("user1", json!({"n": 0})).await.unwrap();

    // jamlib creates, updates, reworks and deletes sessions of the same user, in the same hash, ...
    let python = tokio::task::spawn_blocking(move || {
        let mut ids = Vec::new();
        for n in 0..ROUNDS {
            let id = jamlib.create("user1", &json!({"mine": n}));
            jamlib.update(&id, &json!({"mine": n + 1000})).unwrap();
            let id = jamlib.rework(&id).unwrap();
            assert_eq!(jamlib.get(&id), Some(json!({"mine": n + 1000})));
            if n % 3 == 0 {
                jamlib.delete(&id);
            } else {
                ids.push((id, n + 1000));
            }
        }
        (jamlib, ids)
    });
    // ... while many tasks of jam count in one session and churn their own.
    let mut tasks = Vec::new();
    for task in 0..8 {
        let (jam, counter) = (Arc::clone(&jam), counter.clone());
        tasks.push(tokio::spawn(async move {
            let id = jam.create("user1", json!({"task": task})).await.unwrap();
            let mut id = id;
            for _ in 0..ROUNDS {
                let count = |data: &mut jam::Data| {
                    let n = data["n"].as_u64().unwrap();
                    data.insert("n".into(), json!(n + 1));
                };
                jam.modify(&counter, count).await.unwrap();
                id = jam.rework(&id).await.unwrap();
                assert_eq!(data(&jam, id.as_str()).await, Some(json!({"task": task})));
            }
            (id.into_string(), task)
        }));
    }
    let mut ours = Vec::new();
    for task in tasks {
        ours.push(task.await.unwrap());
    }
    let (jamlib, theirs) = python.await.unwrap();

    assert_eq!(jamlib.get(counter.as_str()), Some(json!({"n": 8 * ROUNDS})));
    for (id, n) in &theirs {
        assert_eq!(data(&jam, id).await, Some(json!({"mine": n})));
    }
    for (id, task) in &ours {
        assert_eq!(jamlib.get(id), Some(json!({"task": task})));
    }
    let sessions = jam.list("user1").await.unwrap().len();
    assert_eq!(sessions, 1 + ours.len() + theirs.len());
    assert_eq!(stage.count("user1"), i64::try_from(sessions).unwrap());
}
