//! Races on every store: no lost update, no session that comes back, a cap that holds.
//!
//! `JAM_TEST_ROUNDS=100000` runs the long version; `JAM_TEST_SEED` begins with a round that failed.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use jam::{ErrorKind, SessionId, Sessions, WhenFull};
use jam_tests::{Stage, Trials, on_every_store};
use serde_json::json;
use tokio::sync::Barrier;

on_every_store!(
    concurrent_increments_lose_none,
    increments_of_several_managers_lose_none,
    a_deleted_session_is_never_revived,
    a_delete_or_a_rework_wins_but_never_both,
    a_cleared_session_is_never_revived,
    a_revoked_session_does_not_slip_through_a_rework,
    two_reworks_give_one_session,
    the_cap_holds_after_concurrent_creates,
    the_cap_holds_after_creates_of_several_processes,
    a_dropped_call_leaves_the_session_whole,
);

/// The rounds of a race on this store.
fn rounds(stage: &Stage, race: &str, default: u64) -> Trials {
    Trials::new(format!("{race} on {}", stage.name()), "JAM_TEST_ROUNDS", default)
}

async fn increment(sessions: &Sessions, id: &str) {
    let step = sessions.modify(id, |data| {
        let count = data["count"].as_u64().unwrap() + 1;
        data.insert("count".into(), count.into());
    });
    step.await.unwrap();
}

async fn count(sessions: &Sessions, id: &str) -> u64 {
    sessions.get(id).await.unwrap().unwrap().get("count").unwrap().unwrap()
}

async fn increments(stage: &Stage, managers: usize) {
    const TASKS: usize = 32;
    const EACH: u64 = 10;
    let managers: Vec<_> = (0..managers).map(|_| stage.sessions()).collect();
    let id = managers[0].create("user1", json!({"count": 0})).await.unwrap();
    let mut trials = rounds(stage, &format!("increments of {} managers", managers.len()), 320);
    let mut expected = 0;
    while trials.next().is_some() {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (sessions, id) = (managers[task % managers.len()].clone(), id.clone());
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        increment(&sessions, id.as_str()).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        trials.more(TASKS as u64 * EACH - 1);
        expected += TASKS as u64 * EACH;
        assert_eq!(count(&managers[0], id.as_str()).await, expected);
    }
}

async fn concurrent_increments_lose_none(stage: Stage) {
    increments(&stage, 1).await;
}

async fn increments_of_several_managers_lose_none(stage: Stage) {
    increments(&stage, 8).await;
}

/// One round: `end` races an update, a touch, a modify, a commit and a rework; whatever came of them, nothing may be
/// alive.
async fn ended_stays_ended(stage: &Stage, race: &str, end: impl AsyncFn(&Sessions, &str) + Clone + Send + 'static) {
    let sessions = stage.sessions();
    for round in rounds(stage, race, 60) {
        let id = sessions.create("user1", json!({"count": 0})).await.unwrap();
        let loaded = sessions.get(&id).await.unwrap().unwrap();
        let barrier = Arc::new(Barrier::new(4));
        let spawn = |number: u64| {
            let (sessions, id, barrier) = (sessions.clone(), id.clone(), Arc::clone(&barrier));
            let mut loaded = loaded.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                let result = match number % 5 {
                    0 => sessions.update(&id, json!({"count": 1})).await,
                    1 => sessions.touch(&id).await.map(drop),
                    2 => sessions
                        .modify(&id, |data| data.insert("count".into(), 2.into()))
                        .await
                        .map(drop),
                    3 => {
                        loaded.insert("count", 3).unwrap();
                        sessions.commit(loaded).await
                    }
                    _ => sessions.update(&id, json!({"count": 4})).await,
                };
                if let Err(error) = result {
                    assert!(
                        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict),
                        "{error}"
                    );
                }
            })
        };
        let writers = [spawn(round), spawn(round + 1), spawn(round + 2)];
        barrier.wait().await;
        end(&sessions, id.as_str()).await;
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(
            !sessions.exists(&id).await.unwrap(),
            "round {round}: the session came back"
        );
        assert!(
            sessions.list("user1").await.unwrap().is_empty(),
            "round {round}: the session came back"
        );
    }
}

async fn a_deleted_session_is_never_revived(stage: Stage) {
    ended_stays_ended(&stage, "deletes", async |sessions: &Sessions, id: &str| {
        assert!(sessions.delete(id).await.unwrap());
    })
    .await;
}

async fn a_delete_or_a_rework_wins_but_never_both(stage: Stage) {
    let sessions = stage.sessions();
    for round in rounds(&stage, "deletes against reworks", 60) {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let rework = tokio::spawn({
            let (sessions, id) = (sessions.clone(), id.clone());
            async move { sessions.rework(&id).await }
        });
        let deleted = sessions.delete(&id).await.unwrap();
        let reworked = rework.await.unwrap();
        assert_eq!(deleted, reworked.is_err(), "round {round}");
        assert!(!sessions.exists(&id).await.unwrap(), "round {round}");
        assert_eq!(
            sessions.list("user1").await.unwrap().len(),
            usize::from(!deleted),
            "round {round}"
        );
        sessions.clear("user1").await.unwrap();
    }
}

async fn a_cleared_session_is_never_revived(stage: Stage) {
    ended_stays_ended(&stage, "clears", async |sessions: &Sessions, _: &str| {
        assert_eq!(sessions.clear("user1").await.unwrap(), 1);
    })
    .await;
    // A rework moves within the key, so it cannot get out of the way either.
    let sessions = stage.sessions();
    for round in rounds(&stage, "clears against reworks", 60) {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let rework = tokio::spawn({
            let sessions = sessions.clone();
            async move { sessions.rework(&id).await }
        });
        assert_eq!(sessions.clear("user1").await.unwrap(), 1, "round {round}");
        let _ = rework.await.unwrap();
        assert!(
            sessions.list("user1").await.unwrap().is_empty(),
            "round {round}: the session came back"
        );
    }
}

async fn a_revoked_session_does_not_slip_through_a_rework(stage: Stage) {
    let sessions = stage.sessions();
    for round in rounds(&stage, "revokes against reworks", 60) {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let handle = sessions.get(&id).await.unwrap().unwrap().handle().clone();
        let rotating = tokio::spawn({
            let sessions = sessions.clone();
            async move {
                let mut id = id;
                while let Ok(new) = sessions.rework(&id).await {
                    id = new;
                }
                id
            }
        });
        assert!(sessions.revoke("user1", &handle).await.unwrap());
        // A session that slipped through would be reworked for ever.
        let ended = tokio::time::timeout(Duration::from_mins(1), rotating).await;
        let last = ended
            .unwrap_or_else(|_| panic!("round {round}: it is still alive"))
            .unwrap();
        assert!(!sessions.exists(&last).await.unwrap(), "round {round}");
        assert!(sessions.list("user1").await.unwrap().is_empty(), "round {round}");
    }
}

async fn two_reworks_give_one_session(stage: Stage) {
    for round in rounds(&stage, "two reworks", 60) {
        let sessions = stage.sessions();
        let id = sessions.create("user1", json!({})).await.unwrap();
        let rework = || {
            // A manager of its own each, so that they do not queue.
            let (sessions, id) = (stage.sessions(), id.clone());
            tokio::spawn(async move { sessions.rework(&id).await })
        };
        let (one, two) = (rework(), rework());
        let outcomes = [one.await.unwrap(), two.await.unwrap()];
        let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}");
        assert!(sessions.exists(won[0]).await.unwrap());
        assert_eq!(sessions.clear("user1").await.unwrap(), 1);
    }
}

async fn the_cap_holds_after_concurrent_creates(stage: Stage) {
    for when_full in [WhenFull::EvictOldest, WhenFull::Refuse] {
        for round in rounds(&stage, "creates at a cap", 10) {
            let sessions = stage.builder().max_sessions(3, when_full).build().unwrap();
            let results = create_at_once((0..12).map(|_| sessions.clone())).await;
            let created = results.iter().filter(|result| result.is_ok()).count();
            assert_eq!(
                created,
                if when_full == WhenFull::Refuse { 3 } else { 12 },
                "round {round}"
            );
            assert_eq!(
                sessions.clear("user1").await.unwrap(),
                3,
                "round {round}, {when_full:?}"
            );
        }
    }
}

async fn the_cap_holds_after_creates_of_several_processes(stage: Stage) {
    for when_full in [WhenFull::EvictOldest, WhenFull::Refuse] {
        for round in rounds(&stage, "creates of several managers at a cap", 10) {
            let manager = || stage.builder().max_sessions(3, when_full).build().unwrap();
            let results = create_at_once((0..12).map(|_| manager())).await;
            let alive = stage.sessions();
            for id in results.into_iter().flatten() {
                // Newcomers may evict each other, but where they are refused nobody ends what was granted.
                assert!(
                    when_full == WhenFull::EvictOldest || alive.exists(&id).await.unwrap(),
                    "round {round}"
                );
            }
            assert!(alive.clear("user1").await.unwrap() <= 3, "round {round}, {when_full:?}");
        }
    }
}

async fn create_at_once(managers: impl Iterator<Item = Sessions>) -> Vec<jam::Result<SessionId>> {
    let create = |sessions: Sessions| tokio::spawn(async move { sessions.create("user1", json!({})).await });
    let creates: Vec<_> = managers.map(create).collect();
    let mut results = Vec::new();
    for create in creates {
        let result = create.await.unwrap();
        assert!(
            result
                .as_ref()
                .err()
                .is_none_or(|error| error.kind() == ErrorKind::LimitReached)
        );
        results.push(result);
    }
    results
}

async fn a_dropped_call_leaves_the_session_whole(stage: Stage) {
    let sessions = stage.sessions();
    let id = sessions.create("user1", json!({"count": 0})).await.unwrap();
    for round in rounds(&stage, "dropped calls", 60) {
        let dropped = {
            let (sessions, id) = (sessions.clone(), id.clone());
            tokio::spawn(async move { increment(&sessions, id.as_str()).await })
        };
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        dropped.abort();
        let _ = dropped.await;
        let before = count(&sessions, id.as_str()).await;
        increment(&sessions, id.as_str()).await;
        let after = count(&sessions, id.as_str()).await;
        assert!(
            after == before + 1 || after == before + 2,
            "round {round}: {before} then {after}"
        );
    }
}
