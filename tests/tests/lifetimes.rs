//! When sessions end, on every store: idle and absolute lifetimes, touching, sweeping.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::duration_suboptimal_units, reason = "lifetimes are set in seconds")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jam::{Clock, ErrorKind, MemoryStore, SessionOptions, Sessions, Timestamp};
use jam_tests::{Stage, data, kind, on_every_store, on_every_store_but_servers};
use serde_json::json;

on_every_store!(
    a_session_ends_its_ttl_after_the_last_write,
    reading_renews_only_when_asked_and_once_per_tenth,
    no_reading_or_writing_outlives_the_absolute_lifetime,
    a_shorter_absolute_lifetime_counts_for_old_sessions_too,
    what_is_over_here_alone_is_ended_with_the_others,
    a_listing_tells_the_end_that_a_shorter_absolute_lifetime_brings,
    a_ttl_of_its_own_stays_through_rework,
    a_session_says_when_its_id_was_issued,
    an_id_that_says_another_time_of_issue_is_no_session,
    touch_prolongs_and_says_whether_there_is_a_session,
    sweeping_goes_on_at_every_interval,
);

/// A clock that goes on by a millisecond whenever somebody looks at it.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Stage::START.plus(Duration::from_millis(self.0.fetch_add(1, Ordering::SeqCst)))
    }
}

/// Cookies take it for their Max-Age: two looks at the clock would make 59 seconds of a minute now and then.
#[tokio::test]
async fn a_lifetime_is_told_by_one_look_at_the_clock() {
    let minute = Duration::from_mins(1);
    let sessions = Sessions::builder(MemoryStore::new())
        .clock(Arc::<Ticking>::default())
        .ttl(minute)
        .build()
        .unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(sessions.lifetime(&id), Some(minute));
    assert_eq!(sessions.lifetime("nonsense"), None);
}

/// A file could not be opened again as long as somebody still waits to sweep it.
#[tokio::test]
async fn a_sweeper_keeps_no_store_open_by_itself_and_ends_with_the_manager() {
    let (wake, woken) = tokio::sync::oneshot::channel::<()>();
    let (mut woken, asleep) = (Some(woken), Arc::new(AtomicBool::new(false)));
    let sleeps = Arc::clone(&asleep);
    let sessions = Sessions::new(MemoryStore::new());
    let mut sweeping = Box::pin(sessions.sweep_every(Duration::from_secs(3600), move |_| {
        sleeps.store(true, Ordering::SeqCst);
        let woken = woken.take().expect("it sleeps once");
        async { drop(woken.await) }
    }));
    while !asleep.load(Ordering::SeqCst) {
        assert!(
            futures_lite::future::poll_once(&mut sweeping).await.is_none(),
            "it goes on"
        );
    }
    let store = Arc::downgrade(sessions.store());
    drop(sessions);
    assert!(store.upgrade().is_none());
    wake.send(()).unwrap();
    sweeping.await;
}

/// A server may reclaim by itself, and then nobody counts.
mod swept_by_jam {
    use super::*;

    on_every_store_but_servers!(expired_sessions_are_swept);
}

async fn a_session_ends_its_ttl_after_the_last_write(stage: Stage) {
    let sessions = stage.builder().ttl(Duration::from_secs(100)).build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    stage.advance(99);
    sessions.update(&id, json!({"used": true})).await.unwrap();
    stage.advance(99);
    assert!(sessions.exists(&id).await.unwrap());
    stage.advance(1);
    assert!(!sessions.exists(&id).await.unwrap());
    assert_eq!(kind(sessions.update(&id, json!({})).await), ErrorKind::NotFound);
    assert_eq!(kind(sessions.rework(&id).await), ErrorKind::NotFound);
    assert!(!sessions.delete(&id).await.unwrap());

    let endless = stage.builder().ttl(None).build().unwrap();
    let id = endless.create("user1", json!({})).await.unwrap();
    stage.advance(1_000_000_000);
    assert!(endless.touch(&id).await.unwrap());
    assert_eq!(endless.list("user1").await.unwrap()[0].expires_at(), None);
}

async fn reading_renews_only_when_asked_and_once_per_tenth(stage: Stage) {
    let expires_at = async |sessions: &Sessions| sessions.list("user1").await.unwrap()[0].expires_at().unwrap();
    let still = stage.builder().ttl(Duration::from_secs(100)).build().unwrap();
    let id = still.create("user1", json!({})).await.unwrap();
    stage.advance(50);
    still.get(&id).await.unwrap().expect("half way");
    assert_eq!(expires_at(&still).await, Stage::START.plus(Duration::from_secs(100)));

    let renewing = stage
        .builder()
        .ttl(Duration::from_secs(100))
        .renew_on_read(true)
        .build()
        .unwrap();
    renewing.get(&id).await.unwrap().expect("half way");
    assert_eq!(expires_at(&renewing).await, Stage::START.plus(Duration::from_secs(150)));
    stage.advance(10);
    renewing.get(&id).await.unwrap().expect("renewed");
    assert_eq!(
        expires_at(&renewing).await,
        Stage::START.plus(Duration::from_secs(150)),
        "a tenth has not passed"
    );
    stage.advance(1);
    renewing.get(&id).await.unwrap().expect("renewed");
    assert_eq!(expires_at(&renewing).await, Stage::START.plus(Duration::from_secs(161)));
}

async fn no_reading_or_writing_outlives_the_absolute_lifetime(stage: Stage) {
    let lifetime = Duration::from_secs(250);
    let sessions = stage
        .builder()
        .ttl(Duration::from_secs(100))
        .max_lifetime(lifetime)
        .renew_on_read(true)
        .build()
        .unwrap();
    let mut id = sessions.create("user1", json!({})).await.unwrap();
    let untouched = sessions
        .create_with(
            "user2",
            json!({}),
            SessionOptions::new().ttl(Duration::from_secs(10_000)),
        )
        .await
        .unwrap();
    for _ in 0..6 {
        stage.advance(40);
        assert!(sessions.exists(&id).await.unwrap());
        sessions.update(&id, json!({})).await.unwrap();
        sessions.touch(&id).await.unwrap();
        id = sessions.rework(&id).await.unwrap();
    }
    let end = Stage::START.plus(lifetime);
    assert_eq!(sessions.list("user1").await.unwrap()[0].expires_at(), Some(end));
    assert!(sessions.exists(&untouched).await.unwrap());
    stage.advance(10);
    assert!(!sessions.exists(&id).await.unwrap());
    assert!(!sessions.exists(&untouched).await.unwrap());
}

async fn a_shorter_absolute_lifetime_counts_for_old_sessions_too(stage: Stage) {
    let before = stage.sessions();
    let id = before.create("user1", json!({})).await.unwrap();
    stage.advance(600);
    let after = stage.builder().max_lifetime(Duration::from_secs(600)).build().unwrap();
    assert!(after.get(&id).await.unwrap().is_none());
    assert_eq!(kind(after.update(&id, json!({})).await), ErrorKind::NotFound);
    assert_eq!(kind(after.rework(&id).await), ErrorKind::NotFound);
    assert!(after.list("user1").await.unwrap().is_empty());
    assert!(
        before.exists(&id).await.unwrap(),
        "it was not over for a manager without that limit"
    );
    assert!(
        !after.delete(&id).await.unwrap(),
        "what is over is no session to delete"
    );
    assert!(
        !before.exists(&id).await.unwrap(),
        "but its record is removed all the same"
    );
}

/// A second service, or the one before an update, may give sessions a longer life than this one.
async fn what_is_over_here_alone_is_ended_with_the_others(stage: Stage) {
    let longer = stage.sessions();
    let stolen = longer.create("user1", json!({})).await.unwrap();
    let handle = longer.get(&stolen).await.unwrap().unwrap().handle().clone();
    stage.advance(601);
    let here = stage.builder().max_lifetime(Duration::from_secs(600)).build().unwrap();
    let own = here.create("user1", json!({})).await.unwrap();
    assert!(longer.exists(&stolen).await.unwrap());
    assert_eq!(
        here.clear_others(&own).await.unwrap(),
        0,
        "what is over counts for none"
    );
    assert!(!longer.exists(&stolen).await.unwrap(), "and is ended all the same");
    assert!(longer.exists(&own).await.unwrap());

    let stolen = longer.create("user2", json!({})).await.unwrap();
    let again = longer.get(&stolen).await.unwrap().unwrap().handle().clone();
    stage.advance(601);
    assert!(!here.revoke("user2", &handle).await.unwrap());
    assert!(longer.exists(&stolen).await.unwrap(), "another one's handle");
    assert!(!here.revoke("user2", &again).await.unwrap());
    assert!(!longer.exists(&stolen).await.unwrap());
}

async fn a_listing_tells_the_end_that_a_shorter_absolute_lifetime_brings(stage: Stage) {
    let endless = stage.builder().ttl(None).build().unwrap();
    endless.create("user1", json!({})).await.unwrap();
    assert_eq!(endless.list("user1").await.unwrap()[0].expires_at(), None);
    let after = stage.builder().max_lifetime(Duration::from_secs(600)).build().unwrap();
    let ends = Stage::START.plus(Duration::from_secs(600));
    assert_eq!(after.list("user1").await.unwrap()[0].expires_at(), Some(ends));
}

async fn a_ttl_of_its_own_stays_through_rework(stage: Stage) {
    let sessions = stage.builder().ttl(Duration::from_secs(100)).build().unwrap();
    let remember_me = SessionOptions::new().ttl(Duration::from_secs(1000));
    let id = sessions.create_with("user1", json!({}), remember_me).await.unwrap();
    stage.advance(900);
    let id = sessions.rework(&id).await.unwrap();
    stage.advance(900);
    sessions.update(&id, json!({})).await.unwrap();
    stage.advance(900);
    assert!(sessions.exists(&id).await.unwrap());
    let id = sessions.rework_as(&id, "user1", SessionOptions::new()).await.unwrap();
    stage.advance(100);
    assert!(
        !sessions.exists(&id).await.unwrap(),
        "a login begins a life without the old ttl"
    );
    let shortest = SessionOptions::new().ttl(Duration::from_secs(1));
    sessions.create_with("user1", json!({}), shortest).await.unwrap();
    let short = SessionOptions::new().ttl(Duration::from_millis(999));
    assert_eq!(
        kind(sessions.create_with("user1", json!({}), short).await),
        ErrorKind::InvalidInput
    );
}

async fn a_session_says_when_its_id_was_issued(stage: Stage) {
    let sessions = stage.sessions();
    let start = Stage::START;
    let after = |seconds| Some(start.plus(Duration::from_secs(seconds)));
    let seen = async |id| {
        let session = sessions.get(id).await.unwrap().unwrap();
        let listed = sessions.list(session.key()).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (listed[0].created(), listed[0].issued()),
            (session.created(), session.issued())
        );
        (session.created(), session.issued())
    };
    let id = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(seen(&id).await, (after(0), after(0)));
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(seen(&id).await, (after(0), after(0)), "within the second");
    stage.advance(100);
    sessions.update(&id, json!({"a": 1})).await.unwrap();
    assert_eq!(seen(&id).await, (after(0), after(0)), "a write issues no id");
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(seen(&id).await, (after(0), after(100)));
    stage.advance(100);
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(seen(&id).await, (after(0), after(200)));
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1})));
    stage.advance(100);
    let id = sessions.rework_as(&id, "user1", SessionOptions::new()).await.unwrap();
    assert_eq!(seen(&id).await, (after(300), after(300)), "a login starts afresh");

    stage.clock.set(start);
    let id = sessions.rework(&id).await.unwrap();
    assert_eq!(seen(&id).await, (after(300), after(300)), "the clock was turned back");
}

async fn an_id_that_says_another_time_of_issue_is_no_session(stage: Stage) {
    // With encrypted ids nobody can say anything else at all: the tests of forged ids see to them.
    let sessions = Sessions::builder(Arc::clone(&stage.store)).clock(Arc::clone(&stage.clock) as Arc<dyn Clock>);
    let sessions = sessions.build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    stage.advance(100);
    let id = sessions.rework(&id).await.unwrap();
    let id = id.as_str();
    assert!(id.contains("_2s."));
    for forged in ["_2r.", "_2s1.", "_02s.", "_0.", "_2S.", "_.", "-2s.", "-1_2s.", "."] {
        let forged = id.replace("_2s.", forged);
        assert!(sessions.get(&forged).await.unwrap().is_none());
        assert!(!sessions.delete(&forged).await.unwrap());
        assert_eq!(kind(sessions.update(&forged, json!({})).await), ErrorKind::NotFound);
        assert_eq!(kind(sessions.rework(&forged).await), ErrorKind::NotFound);
    }
    assert!(sessions.exists(id).await.unwrap());
}

async fn touch_prolongs_and_says_whether_there_is_a_session(stage: Stage) {
    let sessions = stage.builder().ttl(Duration::from_secs(100)).build().unwrap();
    let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
    stage.advance(90);
    assert!(sessions.touch(&id).await.unwrap());
    stage.advance(90);
    assert_eq!(data(&sessions, &id).await, Some(json!({"a": 1})));
    stage.advance(10);
    assert!(!sessions.touch(&id).await.unwrap());
}

async fn expired_sessions_are_swept(stage: Stage) {
    let sessions = stage.builder().ttl(Duration::from_secs(100)).build().unwrap();
    for number in 0..10 {
        sessions.create(format!("user{number}"), json!({})).await.unwrap();
    }
    stage.advance(50);
    let young = sessions.create("user1", json!({})).await.unwrap();
    stage.advance(50);
    assert_eq!(sessions.remove_expired().await.unwrap(), 10);
    assert_eq!(sessions.remove_expired().await.unwrap(), 0);
    assert!(sessions.exists(&young).await.unwrap());
}

async fn sweeping_goes_on_at_every_interval(stage: Stage) {
    let sessions = stage.builder().ttl(Duration::from_secs(10)).build().unwrap();
    let (tick, ticked) = tokio::sync::mpsc::channel::<()>(1);
    let ticked = Arc::new(tokio::sync::Mutex::new(ticked));
    let sweeper = tokio::spawn(sessions.sweep_every(Duration::from_secs(60), move |interval| {
        assert_eq!(interval, Duration::from_secs(60));
        let ticked = Arc::clone(&ticked);
        async move {
            ticked.lock().await.recv().await.expect("the test is still there");
        }
    }));
    for _ in 0..3 {
        sessions.create("user1", json!({})).await.unwrap();
        stage.advance(10);
        // The second is only taken once the sweep after the first is over.
        tick.send(()).await.unwrap();
        tick.send(()).await.unwrap();
        tick.send(()).await.unwrap();
        assert_eq!(sessions.remove_expired().await.unwrap(), 0, "it was swept already");
    }
    sweeper.abort();
}
