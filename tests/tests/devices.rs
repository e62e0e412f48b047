//! Sessions of one user, on every store: listing, revoking, logging out everywhere else, caps.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::duration_suboptimal_units, reason = "lifetimes are set in seconds")]

use std::sync::Arc;
use std::time::Duration;

use jam::{
    Clock, ErrorKind, HashedIds, IdCodec, ManualClock, MemoryStore, PlainIds, Record, RecordId, SessionKey,
    SessionOptions, SessionStore, Sessions, WhenFull,
};
use jam_tests::{Stage, data, kind, on_every_store};
use serde_json::json;

on_every_store!(
    visitors_have_keys_of_their_own,
    listing_shows_handles_and_revoking_needs_nothing_else,
    log_out_everywhere_else_spares_this_one,
    clear_ends_every_session_of_one_key_alone,
    the_oldest_session_makes_room,
    a_full_key_refuses_newcomers,
    a_refused_login_leaves_the_visitor_as_he_was,
    a_login_waits_for_nobody_who_is_not_there,
    a_login_never_fails_for_want_of_room_where_the_oldest_goes,
    a_lowered_cap_ends_no_session_that_was_granted_where_newcomers_are_refused,
);

async fn listing_shows_handles_and_revoking_needs_nothing_else(stage: Stage) {
    let sessions = stage.sessions();
    let phone = sessions.create("user1", json!({"browser": "phone"})).await.unwrap();
    stage.advance(1);
    let laptop = sessions.create("user1", json!({"browser": "laptop"})).await.unwrap();
    sessions.create("user2", json!({})).await.unwrap();

    let devices = sessions.list("user1").await.unwrap();
    let browsers: Vec<_> = devices
        .iter()
        .map(|device| device.data().unwrap()["browser"].clone())
        .collect();
    assert_eq!(browsers, ["phone", "laptop"]);
    assert_eq!(devices[0].created(), Some(Stage::START));
    assert_eq!(
        devices[0].expires_at(),
        Some(Stage::START.plus(Duration::from_secs(3600)))
    );
    for id in [&phone, &laptop] {
        assert!(!format!("{devices:?}").contains(id.as_str()));
    }

    let phone = sessions.rework(&phone).await.unwrap();
    assert!(
        sessions.revoke("user1", devices[0].handle()).await.unwrap(),
        "the handle outlived the rework"
    );
    assert!(!sessions.revoke("user1", devices[0].handle()).await.unwrap());
    assert!(
        !sessions.revoke("user2", devices[1].handle()).await.unwrap(),
        "a handle counts for its own key alone"
    );
    assert!(!sessions.exists(&phone).await.unwrap());
    assert!(sessions.exists(&laptop).await.unwrap());
}

/// A store may list a session that is renamed meanwhile at its old id and at its new one.
#[tokio::test]
async fn a_session_that_is_listed_at_two_ids_counts_once() {
    let clock = Arc::new(ManualClock::new(Stage::START));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let sessions = Sessions::builder(Arc::clone(&store) as Arc<dyn SessionStore>)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .max_sessions(2, WhenFull::EvictOldest)
        .build()
        .unwrap();
    let first = sessions.create("user1", json!({"browser": "phone"})).await.unwrap();
    // Such that the later record comes before the other.
    clock.advance(Duration::from_secs(35));
    let first = sessions.rework(&first).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let mine = sessions.rework(&first).await.unwrap();
    let (old, _) = HashedIds.locate(first.as_str()).unwrap();
    store
        .insert(&old, &Record::new(r#"{"browser":"phone, before"}"#, None))
        .await
        .unwrap();
    let laptop = sessions.create("user1", json!({})).await.unwrap();
    assert!(sessions.exists(&mine).await.unwrap(), "there are two");
    let listed = sessions.list("user1").await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].data().unwrap()["browser"], "phone");
    assert_eq!(listed[0].issued(), Some(Stage::START.plus(Duration::from_secs(36))));
    sessions.create("user1", json!({})).await.unwrap();
    assert!(sessions.exists(&laptop).await.unwrap());
    assert!(!sessions.exists(&mine).await.unwrap(), "the oldest made room");
}

/// Where ids cannot tell how old they are, expiries do, and what never expires would expire last.
#[tokio::test]
async fn a_session_that_never_expires_does_not_make_room_for_one_that_does() {
    let clock = Arc::new(ManualClock::new(Stage::START));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let sessions = Sessions::builder(Arc::clone(&store) as Arc<dyn SessionStore>)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .ids(PlainIds)
        .max_sessions(2, WhenFull::EvictOldest)
        .build()
        .unwrap();
    let expires = sessions.create("user1", json!({})).await.unwrap();
    let lasting = RecordId::new(SessionKey::new("user1").unwrap(), "user1:lasting").unwrap();
    store.insert(&lasting, &Record::new("{}", None)).await.unwrap();
    let newest = sessions.create("user1", json!({})).await.unwrap();
    assert!(!sessions.exists(&expires).await.unwrap(), "it made room");
    assert!(sessions.exists("user1:lasting").await.unwrap());
    assert!(sessions.exists(&newest).await.unwrap());
}

async fn log_out_everywhere_else_spares_this_one(stage: Stage) {
    let sessions = stage.sessions();
    let mine = sessions.create("user1", json!({})).await.unwrap();
    let others = [
        sessions.create("user1", json!({})).await.unwrap(),
        sessions.create("user1", json!({})).await.unwrap(),
    ];
    let stranger = sessions.create("user2", json!({})).await.unwrap();
    assert_eq!(sessions.clear_others(&mine).await.unwrap(), 2);
    assert!(sessions.exists(&mine).await.unwrap());
    assert!(sessions.exists(&stranger).await.unwrap());
    for other in &others {
        assert!(!sessions.exists(other).await.unwrap());
    }
    assert_eq!(kind(sessions.clear_others(&others[0]).await), ErrorKind::NotFound);
}

async fn clear_ends_every_session_of_one_key_alone(stage: Stage) {
    let sessions = stage.sessions();
    let mine = sessions.create("user1", json!({})).await.unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    let neighbours = [
        sessions.create("user", json!({})).await.unwrap(),
        sessions.create("user1:", json!({})).await.unwrap(),
    ];
    assert_eq!(sessions.clear("user1").await.unwrap(), 2);
    assert_eq!(sessions.clear("user1").await.unwrap(), 0);
    assert!(!sessions.exists(&mine).await.unwrap());
    for neighbour in &neighbours {
        assert!(sessions.exists(neighbour).await.unwrap());
    }
}

async fn the_oldest_session_makes_room(stage: Stage) {
    let sessions = stage.builder().max_sessions(2, WhenFull::EvictOldest).build().unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        // No turn of the clock: logins within one second keep their order as well.
        ids.push(sessions.create("user1", json!({"number": number})).await.unwrap());
        sessions.create("user2", json!({})).await.unwrap();
    }
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(sessions.exists(id).await.unwrap(), number >= 3, "session {number}");
    }
    let visitor = sessions.create("visitor", json!({})).await.unwrap();
    let login = sessions
        .rework_as(&visitor, "user1", SessionOptions::new())
        .await
        .unwrap();
    assert!(sessions.exists(&login).await.unwrap());
    assert_eq!(sessions.list("user1").await.unwrap().len(), 2);
}

async fn a_full_key_refuses_newcomers(stage: Stage) {
    let sessions = stage.builder().max_sessions(2, WhenFull::Refuse).build().unwrap();
    let first = sessions.create("user1", json!({})).await.unwrap();
    let second = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(kind(sessions.create("user1", json!({})).await), ErrorKind::LimitReached);
    assert!(sessions.exists(&first).await.unwrap() && sessions.exists(&second).await.unwrap());
    assert_eq!(sessions.list("user1").await.unwrap().len(), 2);
    sessions.delete(&first).await.unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    stage.advance(3600);
    sessions
        .create("user1", json!({}))
        .await
        .expect("expired sessions do not count");
}

async fn a_refused_login_leaves_the_visitor_as_he_was(stage: Stage) {
    let sessions = stage.builder().max_sessions(1, WhenFull::Refuse).build().unwrap();
    sessions.create("user1", json!({})).await.unwrap();
    let visitor = sessions.create("visitor", json!({"cart": 1})).await.unwrap();
    let refused = sessions.rework_as(&visitor, "user1", SessionOptions::new()).await;
    assert_eq!(kind(refused), ErrorKind::LimitReached);
    assert_eq!(data(&sessions, &visitor).await, Some(json!({"cart": 1})));
}

/// A login waits for others who change the session, and for others who add one to that key: never for itself, whatever the two are
/// called.
async fn a_login_waits_for_nobody_who_is_not_there(stage: Stage) {
    let sessions = stage.builder().max_sessions(2, WhenFull::EvictOldest).build().unwrap();
    let visitor = sessions.create("cap", json!({})).await.unwrap();
    let handle = sessions.list("cap").await.unwrap().remove(0).handle().to_string();
    let login = sessions.rework_as(&visitor, handle, SessionOptions::new());
    let login = tokio::time::timeout(Duration::from_secs(60), login).await;
    assert!(
        sessions
            .exists(login.expect("nobody is in the way").unwrap())
            .await
            .unwrap()
    );
}

async fn a_login_never_fails_for_want_of_room_where_the_oldest_goes(stage: Stage) {
    let sessions = stage.builder().max_sessions(1, WhenFull::EvictOldest).build().unwrap();
    // The visitor came first, so its handle sorts before that of the session that has to go.
    let visitor = sessions.create("visitor", json!({"cart": 1})).await.unwrap();
    let older = sessions.create("user1", json!({})).await.unwrap();
    let login = sessions
        .rework_as(&visitor, "user1", SessionOptions::new())
        .await
        .unwrap();
    assert_eq!(data(&sessions, &login).await, Some(json!({"cart": 1})));
    assert!(!sessions.exists(&older).await.unwrap());
}

async fn a_lowered_cap_ends_no_session_that_was_granted_where_newcomers_are_refused(stage: Stage) {
    let before = stage.sessions();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(before.create("user1", json!({})).await.unwrap());
    }
    let after = stage.builder().max_sessions(2, WhenFull::Refuse).build().unwrap();
    assert_eq!(kind(after.create("user1", json!({})).await), ErrorKind::LimitReached);
    ids[0] = after
        .rework_as(&ids[0], "user1", SessionOptions::new())
        .await
        .expect("logging in again adds nothing");
    for id in &ids {
        assert!(after.exists(id).await.unwrap());
    }
}

async fn visitors_have_keys_of_their_own(stage: Stage) {
    let counter = std::sync::atomic::AtomicU32::new(0);
    let factory = move || format!("web1-{}", counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    for (builder, tells) in [
        (stage.builder(), true),
        (stage.builder().id_factory(factory), false),
        (stage.builder().ids(PlainIds), false),
        (stage.builder().max_sessions(3, WhenFull::EvictOldest), false),
    ] {
        let sessions = builder.build().unwrap();
        let mut keys = Vec::new();
        for _ in 0..2 {
            let id = sessions.create_visitor("visitor:", json!({"n": 1})).await.unwrap();
            let session = sessions.get(&id).await.unwrap().unwrap();
            let random = session.key().as_str().strip_prefix("visitor:").unwrap().to_owned();
            // A version 4 UUID, whoever makes the handle; and never what makes the id a secret.
            assert_eq!((random.len(), &random[14..15]), (36, "4"));
            assert_eq!(random == session.handle().as_str(), tells);
            assert!(tells || id.as_str().matches(&random).count() <= 1);
            assert_eq!(sessions.list(session.key()).await.unwrap().len(), 1);
            keys.push(random);
        }
        assert_ne!(keys[0], keys[1]);
    }
}
