//! Stores that fail, and others who act at the worst moment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jam::{Error, ErrorKind, HashedIds, IdCodec, MemoryStore, Record, SessionId, SessionStore, Sessions, WhenFull};
use jam_tests::Hooked;
use serde_json::json;
use tokio::sync::Notify;

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the server is gone")
}

/// Does something to the store just before the first call of a method, as a racing request of another process would.
fn just_before<F>(
    method: &'static str,
    store: &Arc<MemoryStore>,
    act: impl Fn(Sessions) -> F + Send + Sync + 'static,
) -> Sessions
where
    F: Future<Output = ()> + Send + 'static,
{
    let rival = Sessions::new(Arc::clone(store));
    let pending = AtomicBool::new(true);
    let act = Arc::new(act);
    let store: Arc<dyn SessionStore> = Arc::clone(store) as _;
    Sessions::new(Hooked::new(store, move |called| {
        let due = called == method && pending.swap(false, Ordering::SeqCst);
        let (rival, act) = (rival.clone(), Arc::clone(&act));
        async move {
            if due {
                act(rival).await;
            }
            Ok(())
        }
    }))
}

/// The same with one session to act on.
async fn racing<F>(
    method: &'static str,
    act: impl Fn(Sessions, SessionId) -> F + Send + Sync + 'static,
) -> (Sessions, SessionId, Arc<MemoryStore>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let store = Arc::new(MemoryStore::new());
    let id = Sessions::new(Arc::clone(&store))
        .create("user1", json!({"count": 0}))
        .await
        .unwrap();
    let acted_on = id.clone();
    let sessions = just_before(method, &store, move |rival| act(rival, acted_on.clone()));
    (sessions, id, store)
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error_and_never_an_absent_session() {
    let store = Arc::new(MemoryStore::new());
    let id = Sessions::new(Arc::clone(&store))
        .create("user1", json!({}))
        .await
        .unwrap();
    let loaded = Sessions::new(Arc::clone(&store)).get(&id).await.unwrap().unwrap();
    let builder = Sessions::builder(Hooked::new(store, |_| async { Err(unavailable()) }));
    let sessions = builder.grace(std::time::Duration::from_secs(30)).build().unwrap();
    let kinds = [
        sessions.get(&id).await.map(drop),
        sessions.exists(&id).await.map(drop),
        sessions.touch(&id).await.map(drop),
        sessions.delete(&id).await.map(drop),
        sessions.update(&id, json!({})).await,
        sessions.modify(&id, |_| ()).await,
        sessions.rework(&id).await.map(drop),
        sessions.rework_with_grace(&id).await.map(drop),
        sessions.rework_loaded_with_grace(&loaded).await.map(drop),
        sessions.list("user1").await.map(drop),
        sessions.revoke("user1", "x").await.map(drop),
        sessions.clear("user1").await.map(drop),
        sessions.clear_others(&id).await.map(drop),
        sessions.create("user1", json!({})).await.map(drop),
        sessions.remove_expired().await.map(drop),
    ]
    .map(|outcome| outcome.unwrap_err().kind());
    assert_eq!(kinds, [ErrorKind::Unavailable; 15]);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_never_sent_again() {
    let store = Arc::new(MemoryStore::new());
    let id = Sessions::new(Arc::clone(&store))
        .create("user1", json!({"count": 0}))
        .await
        .unwrap();
    let writes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&writes);
    let sessions = Sessions::new(Hooked::new(store, move |method| {
        let lost = matches!(method, "insert" | "replace" | "touch" | "rename" | "remove" | "clear");
        if lost {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        async move {
            if lost {
                Err(unavailable().with_outcome_unknown())
            } else {
                Ok(())
            }
        }
    }));
    let errors = [
        sessions.modify(&id, |data| data["count"] = 1.into()).await.unwrap_err(),
        sessions.update(&id, json!({})).await.unwrap_err(),
        sessions.rework(&id).await.unwrap_err(),
        sessions.touch(&id).await.unwrap_err(),
        sessions.delete(&id).await.unwrap_err(),
        sessions.clear("user1").await.unwrap_err(),
        sessions.create("user1", json!({})).await.unwrap_err(),
    ];
    for error in &errors {
        assert!(error.outcome_unknown() && !error.is_retryable(), "{error}");
    }
    assert_eq!(writes.load(Ordering::SeqCst), errors.len() as u64);
}

#[tokio::test]
async fn a_rework_just_before_the_removal_does_not_save_a_revoked_session() {
    let (sessions, id, store) = racing("remove", |rival, id| async move {
        rival.rework(&id).await.unwrap();
    })
    .await;
    let handle = Sessions::new(Arc::clone(&store))
        .get(&id)
        .await
        .unwrap()
        .unwrap()
        .handle()
        .clone();
    assert!(sessions.revoke("user1", &handle).await.unwrap());
    assert!(sessions.list("user1").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_change_just_before_the_write_is_not_lost() {
    let add = |data: &mut jam::Data| data["count"] = (data["count"].as_u64().unwrap() + 1).into();
    let (sessions, id, _) = racing("replace", move |rival, id| async move {
        rival.modify(&id, add).await.unwrap();
    })
    .await;
    sessions.modify(&id, add).await.unwrap();
    assert_eq!(sessions.get(&id).await.unwrap().unwrap().get("count").unwrap(), Some(2));
}

#[tokio::test]
async fn a_change_just_before_the_rename_moves_along() {
    let (sessions, id, _) = racing("rename", |rival, id| async move {
        rival.update(&id, json!({"count": 7})).await.unwrap();
    })
    .await;
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(sessions.get(&id).await.unwrap().unwrap().get("count").unwrap(), Some(7));
}

#[tokio::test]
async fn a_logout_just_before_the_write_stays_a_logout() {
    for method in ["replace", "rename"] {
        let (sessions, id, _) = racing(method, |rival, id| async move {
            assert!(rival.delete(&id).await.unwrap());
        })
        .await;
        let outcome = match method {
            "replace" => sessions.modify(&id, |_| ()).await,
            _ => sessions.rework(&id).await.map(drop),
        };
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(sessions.list("user1").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn modify_gives_up_after_so_many_attempts_and_says_so() {
    let store = Arc::new(MemoryStore::new());
    let rival = Sessions::new(Arc::clone(&store));
    let id = rival.create("user1", json!({"count": 0})).await.unwrap();
    let (busy, busy_id) = (rival.clone(), id.clone());
    let always_first = Hooked::new(store, move |method| {
        let (busy, id) = (busy.clone(), busy_id.clone());
        async move {
            if method == "replace" {
                busy.update(&id, json!({"count": 1})).await
            } else {
                Ok(())
            }
        }
    });
    let sessions = Sessions::builder(always_first).max_attempts(5).build().unwrap();
    let mut rounds = 0;
    let error = sessions.modify(&id, |_| rounds += 1).await.unwrap_err();
    assert_eq!((error.kind(), rounds), (ErrorKind::Conflict, 5));
    assert!(error.message().contains("gave up after 5 attempts"), "{error}");
}

#[tokio::test]
async fn the_clock_turned_back_revives_nothing_and_prolongs_nothing() {
    use jam::{Clock, ManualClock, Timestamp};
    use std::time::Duration;

    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(10_000)));
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let sessions = Sessions::builder(store)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .ttl(Duration::from_secs(100))
        .max_lifetime(Duration::from_secs(500))
        .build()
        .unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    clock.set(Timestamp::from_secs(5_000));
    sessions.touch(&id).await.unwrap();
    let expires_at = sessions.list("user1").await.unwrap()[0].expires_at();
    assert_eq!(
        expires_at,
        Some(Timestamp::from_secs(10_100)),
        "a touch never shortens, whatever the clock says"
    );
    clock.set(Timestamp::from_secs(10_100));
    assert!(!sessions.exists(&id).await.unwrap());
    assert_eq!(sessions.remove_expired().await.unwrap(), 1);
    clock.set(Timestamp::from_secs(10_000));
    assert!(!sessions.exists(&id).await.unwrap(), "swept is swept");
}

#[tokio::test]
async fn a_store_that_fails_after_the_write_does_not_lose_the_session() {
    use jam::SessionOptions;

    let store = Arc::new(MemoryStore::new());
    let hooked = Hooked::new(Arc::clone(&store) as _, |method| async move {
        if method == "list" { Err(unavailable()) } else { Ok(()) }
    });
    let sessions = Sessions::builder(hooked)
        .max_sessions(1, WhenFull::EvictOldest)
        .build()
        .unwrap();
    let visitor = sessions.create("visitor", json!({})).await.unwrap();
    let login = sessions
        .rework_as(&visitor, "user1", SessionOptions::new())
        .await
        .unwrap();
    assert!(sessions.exists(&login).await.unwrap());
    let second = sessions.create("user1", json!({})).await.unwrap();
    // Once the store is itself again, the next create trims.
    let healed = Sessions::builder(store)
        .max_sessions(1, WhenFull::EvictOldest)
        .build()
        .unwrap();
    let third = healed.create("user1", json!({})).await.unwrap();
    assert!(!healed.exists(&login).await.unwrap() && !healed.exists(&second).await.unwrap());
    assert!(healed.exists(&third).await.unwrap());
}

#[tokio::test]
async fn a_rework_just_before_the_eviction_does_not_exceed_the_cap() {
    let store = Arc::new(MemoryStore::new());
    let rival = Sessions::new(Arc::clone(&store));
    let old = rival.create("user1", json!({})).await.unwrap();
    let pending = AtomicBool::new(true);
    let (rework, id) = (rival.clone(), old.clone());
    let hooked = Hooked::new(store, move |method| {
        let due = method == "remove" && pending.swap(false, Ordering::SeqCst);
        let (rework, id) = (rework.clone(), id.clone());
        async move {
            if due {
                rework.rework(&id).await?;
            }
            Ok(())
        }
    });
    let sessions = Sessions::builder(hooked)
        .max_sessions(1, WhenFull::EvictOldest)
        .build()
        .unwrap();
    let new = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(sessions.list("user1").await.unwrap().len(), 1);
    assert!(sessions.exists(&new).await.unwrap());
}

/// Ending sessions takes several steps; an error after the first of them is no "nothing happened".
#[tokio::test]
async fn an_ending_that_fails_half_way_says_that_it_may_have_happened() {
    for others in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let lists = AtomicU64::new(0);
        let hooked = Hooked::new(Arc::clone(&store) as _, move |method| {
            let down = method == "list" && lists.fetch_add(1, Ordering::SeqCst) == 1;
            async move { if down { Err(unavailable()) } else { Ok(()) } }
        });
        let (sessions, healthy) = (Sessions::new(hooked), Sessions::new(store));
        let mine = healthy.create("user1", json!({})).await.unwrap();
        let handle = healthy.list("user1").await.unwrap().remove(0).handle().clone();
        healthy.create("user1", json!({})).await.unwrap();
        let error = if others {
            sessions.clear_others(&mine).await.unwrap_err()
        } else {
            sessions.revoke("user1", &handle).await.unwrap_err()
        };
        assert_eq!(healthy.list("user1").await.unwrap().len(), 1);
        assert!(error.outcome_unknown() && !error.is_retryable(), "{error}");
        // Without an end to it, it says that nothing happened.
        let error = Sessions::new(Hooked::new(Arc::new(MemoryStore::new()), |_| async {
            Err(unavailable())
        }));
        let error = error.revoke("user1", &handle).await.unwrap_err();
        assert!(!error.outcome_unknown() && error.is_retryable(), "{error}");
    }
}

/// With a grace, a session that is not at its id is looked for where it may have gone; one that could not be written is not.
#[tokio::test]
async fn a_write_that_fails_is_an_error_and_no_search() {
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let hooked = Hooked::new(Arc::new(MemoryStore::new()), move |method| {
        noted.lock().unwrap().push(method);
        async move {
            match method {
                "insert" | "load" => Ok(()),
                _ => Err(unavailable()),
            }
        }
    });
    let grace = std::time::Duration::from_secs(30);
    let sessions = Sessions::builder(hooked).grace(grace).build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    calls.lock().unwrap().clear();
    let error = sessions.update(&id, json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(*calls.lock().unwrap(), ["replace"]);
    calls.lock().unwrap().clear();
    assert_eq!(sessions.touch(&id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(*calls.lock().unwrap(), ["touch"]);
}

/// Notes that lead in a circle, or for ever, cost no more than this many looks.
#[tokio::test]
async fn an_old_id_is_followed_through_64_rotations_and_no_more() {
    let grace = std::time::Duration::from_mins(1);
    let sessions = Sessions::builder(MemoryStore::new()).grace(grace).build().unwrap();
    assert_eq!(
        (sessions.grace(), Sessions::new(MemoryStore::new()).grace()),
        (Some(grace), None)
    );
    let first = sessions.create("user1", json!({})).await.unwrap();
    let mut newest = first.clone();
    for _ in 0..64 {
        newest = sessions.rework_with_grace(&newest).await.unwrap();
    }
    assert!(sessions.exists(&first).await.unwrap());
    newest = sessions.rework_with_grace(&newest).await.unwrap();
    assert!(!sessions.exists(&first).await.unwrap());
    assert!(sessions.exists(&newest).await.unwrap());
}

#[tokio::test]
async fn what_is_no_session_data_is_found_out_with_and_without_having_it() {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::new(Arc::clone(&store));
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    sessions.get(&id).await.unwrap().unwrap().check().unwrap();
    let record = HashedIds.resolve(id.as_str()).unwrap();
    for damaged in ["[1]", "{", "", "null"] {
        store.replace(&record, None, &Record::new(damaged, None)).await.unwrap();
        let session = sessions.get(&id).await.unwrap().unwrap();
        assert_eq!(session.check().unwrap_err().kind(), ErrorKind::Corrupt, "{damaged}");
        assert_eq!(session.data().unwrap_err().kind(), ErrorKind::Corrupt, "{damaged}");
    }
}

/// Each process counts before it creates; what another one has created by then is found afterwards, and who came last steps back.
#[tokio::test]
async fn a_session_beyond_the_cap_is_refused_also_where_another_process_was_faster() {
    let store = Arc::new(MemoryStore::new());
    let rival = Sessions::new(Arc::clone(&store));
    let faster = rival.clone();
    let hooked = Hooked::new(store, move |method| {
        let faster = faster.clone();
        async move {
            if method == "insert" {
                faster.create("user1", json!({})).await?;
            }
            Ok(())
        }
    });
    let sessions = Sessions::builder(hooked)
        .max_sessions(1, WhenFull::Refuse)
        .build()
        .unwrap();
    let error = sessions.create("user1", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert_eq!(rival.list("user1").await.unwrap().len(), 1);
}

/// On a store where others act between any two calls they would all find each other there, and all step back.
#[tokio::test]
async fn newcomers_of_one_process_do_not_refuse_each_other() {
    let hooked = Hooked::new(Arc::new(MemoryStore::new()), |_| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    let sessions = Sessions::builder(hooked)
        .max_sessions(2, WhenFull::Refuse)
        .build()
        .unwrap();
    let create = || {
        let sessions = sessions.clone();
        tokio::spawn(async move { sessions.create("user1", json!({})).await })
    };
    let mut created = 0;
    for newcomer in [create(), create(), create()] {
        match newcomer.await.unwrap() {
            Ok(_) => created += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::LimitReached),
        }
    }
    assert_eq!(created, 2);
}

/// A handle is no secret: an id with it and a made-up secret is no session, and whoever sends many holds up nobody.
#[tokio::test]
async fn nobody_waits_for_those_who_only_know_a_handle() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = AtomicBool::new(true);
    let store = Arc::new(MemoryStore::new());
    let id = Sessions::new(Arc::clone(&store))
        .create("user1", json!({"count": 0}))
        .await
        .unwrap();
    let hooked = Hooked::new(store, {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move |_| {
            let held = first.swap(false, Ordering::SeqCst);
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                if held {
                    begun.notify_one();
                    go_on.notified().await;
                }
                Ok(())
            }
        }
    });
    let sessions = Sessions::new(hooked);
    let made_up = format!("{}.AAAAAAAAAAAAAAAAAAAAAA", id.as_str().rsplit_once('.').unwrap().0);
    let attack = {
        let sessions = sessions.clone();
        tokio::spawn(async move { sessions.modify(made_up, |_| ()).await })
    };
    begun.notified().await;
    let modified = sessions.modify(&id, |data| data.insert("count".into(), 1.into()));
    let modified = tokio::time::timeout(std::time::Duration::from_mins(1), modified).await;
    modified.expect("it waits for nobody").unwrap();
    go_on.notify_one();
    assert_eq!(attack.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
}

/// Or a client that was told of an error would be left with an id that ends with its grace.
#[tokio::test]
async fn a_rotation_whose_answer_was_lost_gives_the_new_id_if_it_was_done() {
    let store = Arc::new(MemoryStore::new());
    let fails = |method: &str, error: fn() -> Error| match method {
        "rename" => std::future::ready(Err(error())),
        _ => std::future::ready(Ok(())),
    };
    let unknown = || unavailable().with_outcome_unknown();
    let on = |hooked: Hooked| {
        let builder = Sessions::builder(hooked).grace(std::time::Duration::from_secs(30));
        builder.build().unwrap()
    };
    let well = || Hooked::new(Arc::clone(&store) as _, |_| std::future::ready(Ok(())));
    let done = on(well().after(move |method| fails(method, unknown)));
    let id = done.create("user1", json!({})).await.unwrap();
    let rotated = done.rework_with_grace(&id).await.unwrap();
    assert!(!done.get(&rotated).await.unwrap().unwrap().through_grace());
    // Where the old id leads nowhere, nobody but the caller can say whether it was to be given out.
    assert!(done.rework(&rotated).await.unwrap_err().outcome_unknown());

    for error in [unknown, unavailable] {
        let not_done = on(Hooked::new(Arc::clone(&store) as _, move |method| fails(method, error)));
        let id = not_done.create("user1", json!({})).await.unwrap();
        let refused = not_done.rework_with_grace(&id).await.unwrap_err();
        assert_eq!(refused.outcome_unknown(), error().outcome_unknown());
        assert!(not_done.exists(&id).await.unwrap());
    }
}

#[tokio::test]
async fn a_mark_that_cannot_be_left_is_an_error() {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::new(Arc::clone(&store));
    let id = sessions.create("user1", json!({})).await.unwrap();
    let session = sessions.get(&id).await.unwrap().unwrap();
    let full = Sessions::new(Hooked::new(store, |method| {
        std::future::ready(if method == "insert" { Err(unavailable()) } else { Ok(()) })
    }));
    let refused = full.mark_superseded(&session, std::time::Duration::from_secs(30)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!full.was_superseded(&id).await.unwrap());
}

#[tokio::test]
async fn an_old_id_that_nobody_marked_marks_no_other() {
    let builder = Sessions::builder(MemoryStore::new()).grace(std::time::Duration::from_secs(30));
    let sessions = builder.build().unwrap();
    let old = sessions.create("user1", json!({})).await.unwrap();
    let rotated = sessions.rework_with_grace(&old).await.unwrap();
    sessions.rework(&old).await.unwrap();
    assert!(!sessions.was_superseded(&rotated).await.unwrap());
    assert!(!sessions.was_superseded(&old).await.unwrap());
}
