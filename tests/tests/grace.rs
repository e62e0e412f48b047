//! Rotation with grace: parallel requests keep working, and nothing outlives a logout.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use jam::{Clock, ErrorKind, ManualClock, MemoryStore, Record, SessionOptions, Sessions};
use jam_tests::{Hooked, Stage, Trials, on_every_store};
use serde_json::json;

on_every_store!(
    the_old_id_reaches_the_session_during_the_grace,
    writing_through_the_old_id_writes_the_session,
    ending_through_either_id_ends_both,
    revoke_and_clear_end_both,
    a_chain_of_rotations_is_followed,
    notes_are_not_listed_counted_or_capped,
    without_grace_there_is_no_way_back,
    a_login_during_the_grace_ends_the_old_ids,
    managers_that_rotate_at_once_lose_no_session,
    a_commit_over_a_rotation_is_a_conflict,
    a_session_says_whether_an_old_id_reached_it,
    an_old_id_tells_when_the_new_one_was_issued,
    of_rotations_of_a_loaded_session_one_alone_gives_an_id,
    a_forged_note_leads_nowhere_and_keeps_nobody_from_logging_out,
    a_superseded_id_is_known_as_such_and_leads_nowhere,
    a_superseded_id_is_known_through_the_notes_of_rotations,
    who_comes_with_a_superseded_id_can_end_the_session,
    a_mark_that_comes_late_cuts_no_grace_short_and_lengthens_none,
);

const GRACE: Duration = Duration::from_secs(30);

fn sessions(stage: &Stage) -> Sessions {
    stage.builder().grace(GRACE).build().unwrap()
}

async fn the_old_id_reaches_the_session_during_the_grace(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let new = sessions.rework_with_grace(&old).await.unwrap();
    assert_ne!(old, new);
    for id in [&old, &new] {
        let session = sessions.get(id).await.unwrap().expect("both ids work");
        assert_eq!(session.get("a").unwrap(), Some(1));
    }
    stage.advance(29);
    assert!(sessions.exists(&old).await.unwrap());
    stage.advance(1);
    assert!(!sessions.exists(&old).await.unwrap(), "the grace is over");
    assert!(sessions.exists(&new).await.unwrap());
}

async fn writing_through_the_old_id_writes_the_session(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let new = sessions.rework_with_grace(&old).await.unwrap();
    sessions.update(&old, json!({"a": 2})).await.unwrap();
    assert_eq!(sessions.get(&new).await.unwrap().unwrap().get("a").unwrap(), Some(2));
    sessions
        .modify(&old, |data| data.insert("b".into(), 1.into()))
        .await
        .unwrap();
    assert_eq!(sessions.get(&new).await.unwrap().unwrap().get("b").unwrap(), Some(1));
    assert!(sessions.touch(&old).await.unwrap());
    let newest = sessions.rework(&old).await.unwrap();
    assert!(sessions.exists(&newest).await.unwrap());
    assert!(!sessions.exists(&new).await.unwrap());
    assert!(!sessions.exists(&old).await.unwrap());
}

async fn ending_through_either_id_ends_both(stage: Stage) {
    let sessions = sessions(&stage);
    for by_old in [true, false] {
        let old = sessions.create("user1", json!({})).await.unwrap();
        let new = sessions.rework_with_grace(&old).await.unwrap();
        assert!(sessions.delete(if by_old { &old } else { &new }).await.unwrap());
        for id in [&old, &new] {
            assert!(!sessions.exists(id).await.unwrap());
            assert_eq!(
                sessions.update(id, json!({})).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
        }
    }
    assert!(sessions.list("user1").await.unwrap().is_empty());
}

async fn revoke_and_clear_end_both(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({})).await.unwrap();
    let handle = sessions.get(&old).await.unwrap().unwrap().handle().clone();
    let new = sessions.rework_with_grace(&old).await.unwrap();
    assert!(sessions.revoke("user1", &handle).await.unwrap());
    assert!(!sessions.exists(&old).await.unwrap() && !sessions.exists(&new).await.unwrap());

    let old = sessions.create("user1", json!({})).await.unwrap();
    let new = sessions.rework_with_grace(&old).await.unwrap();
    assert_eq!(sessions.clear("user1").await.unwrap(), 1, "notes do not count");
    assert!(!sessions.exists(&old).await.unwrap() && !sessions.exists(&new).await.unwrap());
}

async fn a_chain_of_rotations_is_followed(stage: Stage) {
    let sessions = sessions(&stage);
    let first = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let mut ids = vec![first];
    for _ in 0..5 {
        // Each id says another time of issue; it is one session all the same.
        stage.advance(1);
        ids.push(sessions.rework_with_grace(ids.last().unwrap()).await.unwrap());
    }
    // A late request with the very first id rotates once more.
    ids.push(sessions.rework_with_grace(&ids[0]).await.unwrap());
    for id in &ids {
        assert_eq!(
            sessions
                .get(id)
                .await
                .unwrap()
                .expect("within the grace")
                .get("a")
                .unwrap(),
            Some(1)
        );
    }
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
}

async fn notes_are_not_listed_counted_or_capped(stage: Stage) {
    let sessions = stage
        .builder()
        .grace(GRACE)
        .max_sessions(2, jam::WhenFull::EvictOldest)
        .build()
        .unwrap();
    let first = sessions.create("user1", json!({})).await.unwrap();
    let first = sessions.rework_with_grace(&first).await.unwrap();
    let first = sessions.rework_with_grace(&first).await.unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(sessions.list("user1").await.unwrap().len(), 2);
    assert!(
        sessions.exists(&first).await.unwrap(),
        "notes took the place of a session"
    );
}

async fn without_grace_there_is_no_way_back(stage: Stage) {
    let plain = stage.sessions();
    let id = plain.create("user1", json!({})).await.unwrap();
    assert_eq!(
        plain.rework_with_grace(&id).await.unwrap_err().kind(),
        ErrorKind::Config
    );
    let sessions = sessions(&stage);
    let new = sessions.rework(&id).await.unwrap();
    assert!(!sessions.exists(&id).await.unwrap());
    assert!(sessions.exists(&new).await.unwrap());
}

async fn a_login_during_the_grace_ends_the_old_ids(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("visitor", json!({})).await.unwrap();
    let new = sessions.rework_with_grace(&old).await.unwrap();
    let login = sessions.rework_as(&old, "user1", SessionOptions::new()).await.unwrap();
    assert!(sessions.exists(&login).await.unwrap());
    assert!(!sessions.exists(&old).await.unwrap() && !sessions.exists(&new).await.unwrap());
}

async fn managers_that_rotate_at_once_lose_no_session(stage: Stage) {
    for _ in Trials::new("reworks with grace", "JAM_TEST_ROUNDS", 20) {
        let first = sessions(&stage);
        let old = first.create("user1", json!({"a": 1})).await.unwrap();
        let rotations: Vec<_> = (0..6)
            .map(|_| {
                let (sessions, old) = (sessions(&stage), old.clone());
                tokio::spawn(async move {
                    let new = sessions.rework_with_grace(&old).await;
                    assert!(
                        sessions.exists(&old).await.unwrap(),
                        "the old id went dark during the grace"
                    );
                    new.unwrap()
                })
            })
            .collect();
        for rotation in rotations {
            let new = rotation.await.unwrap();
            assert!(first.exists(&new).await.unwrap());
        }
        assert_eq!(first.clear("user1").await.unwrap(), 1);
    }
}

async fn a_commit_over_a_rotation_is_a_conflict(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({"a": 1})).await.unwrap();
    let mut session = sessions.get(&old).await.unwrap().unwrap();
    sessions.rework_with_grace(&old).await.unwrap();
    session.insert("a", 2).unwrap();
    assert_eq!(sessions.commit(session).await.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn a_session_says_whether_an_old_id_reached_it(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({})).await.unwrap();
    assert!(!sessions.get(&old).await.unwrap().unwrap().through_grace());
    let new = sessions.rework_with_grace(&old).await.unwrap();
    assert!(sessions.get(&old).await.unwrap().unwrap().through_grace());
    assert!(!sessions.get(&new).await.unwrap().unwrap().through_grace());
}

async fn an_old_id_tells_when_the_new_one_was_issued(stage: Stage) {
    let sessions = sessions(&stage);
    let old = sessions.create("user1", json!({})).await.unwrap();
    for seconds in [10, 20] {
        stage.advance(10);
        sessions.rework_with_grace(&old).await.unwrap();
        let session = sessions.get(&old).await.unwrap().unwrap();
        assert_eq!(session.created(), Some(Stage::START));
        assert_eq!(session.issued(), Some(Stage::START.plus(Duration::from_secs(seconds))));
    }
}

async fn of_rotations_of_a_loaded_session_one_alone_gives_an_id(stage: Stage) {
    // Two processes on one store, and several requests in each, all with the old id.
    let managers = [sessions(&stage), sessions(&stage)];
    for _ in 0..10 {
        let old = managers[0].create("user1", json!({})).await.unwrap();
        let mut loaded = Vec::new();
        for manager in managers.iter().cycle().take(8) {
            loaded.push((manager.clone(), manager.get(&old).await.unwrap().unwrap()));
        }
        let mut tasks = Vec::new();
        for (manager, loaded) in loaded {
            tasks.push(tokio::spawn(async move {
                manager.rework_loaded_with_grace(&loaded).await.unwrap()
            }));
        }
        let mut given = Vec::new();
        for task in tasks {
            given.extend(task.await.unwrap());
        }
        assert_eq!(given.len(), 1);
        assert!(!managers[1].get(&given[0]).await.unwrap().unwrap().through_grace());
        // Who comes late, and through the grace, may rotate the session from where it is now.
        let late = managers[1].get(&old).await.unwrap().unwrap();
        let again = managers[1].rework_loaded_with_grace(&late).await.unwrap().unwrap();
        for id in [&old, &given[0], &again] {
            assert!(managers[0].exists(id).await.unwrap());
        }
    }
    let loaded = managers[0].create("user1", json!({})).await.unwrap();
    let loaded = managers[0].get(loaded).await.unwrap().unwrap();
    managers[0].clear("user1").await.unwrap();
    assert!(managers[0].rework_loaded_with_grace(&loaded).await.unwrap().is_none());
}

async fn a_forged_note_leads_nowhere_and_keeps_nobody_from_logging_out(stage: Stage) {
    let sessions = sessions(&stage);
    let store = &stage.store;
    let old = sessions.create("user1", json!({})).await.unwrap();
    sessions.rework_with_grace(&old).await.unwrap();
    let victim = sessions.create("user1", json!({"victim": true})).await.unwrap();
    let victim_handle = sessions.get(&victim).await.unwrap().unwrap().handle().clone();
    let entries = store.list(&"user1".parse().unwrap()).await.unwrap();
    let note = entries.iter().find(|entry| entry.id.is_reserved()).unwrap();
    let target = entries
        .iter()
        .find(|entry| entry.id.id().starts_with(victim_handle.as_str()))
        .unwrap();
    let sealed = entries.iter().find(|entry| !entry.id.is_reserved()).unwrap();
    for forged in [
        [&b"\0jam-grace\x01"[..], target.id.id().as_bytes()].concat(),
        b"\0jam-grace\x01".to_vec(),
        b"{\"a\":1}".to_vec(),
        Vec::new(),
        sealed.stored.payload.to_vec(),
    ] {
        store.replace(&note.id, None, &Record::new(forged, None)).await.unwrap();
        assert!(sessions.get(&old).await.unwrap().is_none());
        assert!(!sessions.delete(&old).await.unwrap());
        assert!(sessions.exists(&victim).await.unwrap());
    }
}

async fn a_superseded_id_is_known_as_such_and_leads_nowhere(stage: Stage) {
    // Without grace, and with one that is shorter than the notes last.
    for grace in [None, Some(Duration::from_secs(2))] {
        let sessions = stage.builder().grace(grace).build().unwrap();
        let old = sessions.create("visitor", json!({"a": 1})).await.unwrap();
        assert!(!sessions.was_superseded(&old).await.unwrap());
        let session = sessions.get(&old).await.unwrap().unwrap();
        sessions.mark_superseded(&session, GRACE).await.unwrap();
        // Twice is as good as once, and a session that stays after all is as it was.
        sessions.mark_superseded(&session, GRACE).await.unwrap();
        assert!(sessions.exists(&old).await.unwrap());
        assert_eq!(sessions.list("visitor").await.unwrap().len(), 1);
        let options = SessionOptions::new();
        let new = sessions.rework_as(&old, "user1", options).await.unwrap();
        stage.advance(29);
        assert!(sessions.was_superseded(&old).await.unwrap());
        assert!(!sessions.exists(&old).await.unwrap());
        assert!(!sessions.was_superseded(&new).await.unwrap());
        assert!(sessions.list("visitor").await.unwrap().is_empty());
        stage.advance(1);
        assert!(!sessions.was_superseded(&old).await.unwrap(), "that was a moment ago");
        assert!(sessions.delete(&new).await.unwrap());
        assert!(
            !sessions.was_superseded(&new).await.unwrap(),
            "a logout supersedes nothing"
        );
        assert!(!sessions.was_superseded("no id at all").await.unwrap());
    }
}

/// A login that failed left a mark, and it is over just as that of the next one is left.
#[tokio::test]
async fn a_mark_that_expires_while_it_is_prolonged_is_left_anew() {
    let clock = Arc::new(ManualClock::new(Stage::START));
    let memory = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let store = Hooked::new(memory, {
        let clock = Arc::clone(&clock);
        move |method| {
            if method == "touch" {
                clock.advance(GRACE);
            }
            async { Ok(()) }
        }
    });
    let sessions = Sessions::builder(Arc::new(store))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .build()
        .unwrap();
    let old = sessions.create("user1", json!({})).await.unwrap();
    let session = sessions.get(&old).await.unwrap().unwrap();
    sessions.mark_superseded(&session, GRACE).await.unwrap();
    sessions.mark_superseded(&session, GRACE + GRACE).await.unwrap();
    assert!(sessions.was_superseded(&old).await.unwrap());
}

async fn who_comes_with_a_superseded_id_can_end_the_session(stage: Stage) {
    let sessions = sessions(&stage);
    let bystander = sessions.create("user1", json!({})).await.unwrap();
    let options = || SessionOptions::new().ttl(Duration::from_hours(2));
    for logs_in in [false, true] {
        let old = sessions.create("user1", json!({})).await.unwrap();
        let new = sessions.rework(&old).await.unwrap();
        assert!(!sessions.delete_superseded(&old).await.unwrap(), "nobody has marked it");
        let session = sessions.get(&new).await.unwrap().unwrap();
        sessions.mark_superseded(&session, GRACE).await.unwrap();
        let newest = if logs_in {
            sessions.rework_as(&new, "user1", options()).await.unwrap()
        } else {
            sessions.rework(&new).await.unwrap()
        };
        assert!(!sessions.delete_superseded(&newest).await.unwrap());
        assert!(!sessions.delete_superseded(&old).await.unwrap());
        assert!(!sessions.delete_superseded("no id at all").await.unwrap());
        assert!(sessions.exists(&newest).await.unwrap());
        assert!(sessions.delete_superseded(&new).await.unwrap());
        assert!(!sessions.exists(&newest).await.unwrap());
        assert!(!sessions.delete_superseded(&new).await.unwrap(), "it has ended");
    }
    // Another user's login is none of theirs.
    let old = sessions.create("visitor", json!({})).await.unwrap();
    let session = sessions.get(&old).await.unwrap().unwrap();
    sessions.mark_superseded(&session, GRACE).await.unwrap();
    let new = sessions.rework_as(&old, "user1", options()).await.unwrap();
    assert!(!sessions.delete_superseded(&old).await.unwrap());
    assert!(!sessions.delete_superseded_as(&old, "user2").await.unwrap());
    assert!(sessions.exists(&new).await.unwrap());
    // Unless they say so themselves.
    assert!(sessions.delete_superseded_as(&old, "user1").await.unwrap());
    assert!(!sessions.exists(&new).await.unwrap());
    assert!(sessions.exists(&bystander).await.unwrap());
    // Nor is it half a minute later.
    let old = sessions.create("user2", json!({})).await.unwrap();
    let session = sessions.get(&old).await.unwrap().unwrap();
    sessions.mark_superseded(&session, GRACE).await.unwrap();
    let new = sessions.rework(&old).await.unwrap();
    stage.advance(30);
    assert!(!sessions.delete_superseded(&old).await.unwrap());
    for id in [&new, &bystander] {
        assert!(sessions.exists(id).await.unwrap());
    }
}

async fn a_superseded_id_is_known_through_the_notes_of_rotations(stage: Stage) {
    let sessions = sessions(&stage);
    let first = sessions.create("visitor", json!({})).await.unwrap();
    let second = sessions.rework_with_grace(&first).await.unwrap();
    let session = sessions.get(&first).await.unwrap().unwrap();
    assert!(session.through_grace());
    sessions.mark_superseded(&session, GRACE).await.unwrap();
    // Another process rotates it once more in between: what was noted stays, and so does the way.
    let third = sessions.rework_with_grace(&second).await.unwrap();
    for id in [&first, &second, &third] {
        assert!(sessions.exists(id).await.unwrap());
    }
    let options = SessionOptions::new();
    sessions.rework_as(&first, "user1", options).await.unwrap();
    for id in [&first, &second, &third] {
        assert!(!sessions.exists(id).await.unwrap());
        assert!(sessions.was_superseded(id).await.unwrap());
    }
}

async fn a_mark_that_comes_late_cuts_no_grace_short_and_lengthens_none(stage: Stage) {
    for lasting in [1, 300] {
        let sessions = sessions(&stage);
        let first = sessions.create("visitor", json!({})).await.unwrap();
        let before = sessions.get(&first).await.unwrap().unwrap();
        sessions.rework_with_grace(&first).await.unwrap();
        let lasting = Duration::from_secs(lasting);
        sessions.mark_superseded(&before, lasting).await.unwrap();
        stage.advance(29);
        assert!(sessions.exists(&first).await.unwrap());
        stage.advance(1);
        assert!(!sessions.exists(&first).await.unwrap(), "the grace is over");
        assert_eq!(sessions.was_superseded(&first).await.unwrap(), lasting > GRACE);
    }
}
