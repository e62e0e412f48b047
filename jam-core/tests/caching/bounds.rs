//! What a hit costs, how long it may be one, and how many there may be.

use std::sync::Arc;
use std::time::Duration;

use jam_core::cache::{CachingStore, NearCache};
use jam_core::{Bytes, Ends, Load, Record, RecordId, Renewal, SessionStore, Sessions, Stored, Version};
use serde_json::json;

use super::{BOUND, It, START, id, record};

const MILLISECOND: Duration = Duration::from_millis(1);
/// A millisecond less than the bound.
const ALMOST: Duration = BOUND.saturating_sub(MILLISECOND);
/// Where the clock is the machine's, and the machine may be busy.
const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_hit_asks_the_store_nothing() {
    let it = It::new();
    let sessions = Sessions::builder_on(it.cached.clone())
        .clock(it.clock.clone())
        .build()
        .unwrap();
    let session = sessions.create("user1", json!({"role": "admin"})).await.unwrap();
    for _ in 0..100 {
        let found = sessions.get(&session).await.unwrap().unwrap();
        assert_eq!(found.get::<String>("role").unwrap().as_deref(), Some("admin"));
        assert!(sessions.exists(&session).await.unwrap());
    }
    assert_eq!(it.store.loads(), 1);
    assert!(sessions.get(&session).await.unwrap().unwrap().is_cached());
    assert!(!sessions.get_fresh(&session).await.unwrap().unwrap().is_cached());
}

#[tokio::test]
async fn a_fresh_read_knows_what_another_process_did_and_the_cache_does_afterwards() {
    let it = It::new();
    let here = Sessions::builder_on(it.cached.clone()).clock(it.clock.clone());
    let here = here.grace(Duration::from_secs(30)).build().unwrap();
    let elsewhere = Sessions::builder_on(it.store.clone()).clock(it.clock.clone());
    let elsewhere = elsewhere.grace(Duration::from_secs(30)).build().unwrap();

    let session = here.create("user1", json!({"role": "admin"})).await.unwrap();
    let role = |found: Option<jam_core::Session>| found.map(|found| found.get::<String>("role").unwrap().unwrap());
    assert_eq!(role(here.get_fresh(&session).await.unwrap()).as_deref(), Some("admin"));
    here.get(&session).await.unwrap();
    elsewhere.update(&session, json!({"role": "banned"})).await.unwrap();
    assert_eq!(
        role(here.get(&session).await.unwrap()).as_deref(),
        Some("admin"),
        "a hit"
    );
    assert_eq!(role(here.get_fresh(&session).await.unwrap()).as_deref(), Some("banned"));
    assert_eq!(role(here.get(&session).await.unwrap()).as_deref(), Some("banned"));

    let rotated = elsewhere.rework_with_grace(&session).await.unwrap();
    assert!(!here.get(&session).await.unwrap().unwrap().through_grace(), "a hit");
    assert!(here.get_fresh(&session).await.unwrap().unwrap().through_grace());
    elsewhere.delete(&rotated).await.unwrap();
    assert!(here.get_fresh(&session).await.unwrap().is_none());
    assert!(here.get(&session).await.unwrap().is_none());
}

#[tokio::test]
async fn a_hit_gives_what_the_store_gave() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    let read = it.cached.load(&one, Load::new()).await.unwrap().unwrap();
    let hit = it.cached.load(&one, Load::new().with_expiry()).await.unwrap().unwrap();
    assert_eq!(it.store.loads(), 1);
    assert_eq!((&hit.payload, &hit.version), (&read.payload, &read.version));
    assert_eq!(hit.ends, Ends::At(START.plus(Duration::from_hours(1))));
    assert!(hit.cached && !read.cached, "it says so");
    let fresh = it.cached.load(&one, Load::new().fresh()).await.unwrap().unwrap();
    assert!(!fresh.cached);
    let shown = format!("{:?}", it.cached);
    assert!(
        shown.contains("CachingStore") && shown.contains("max_staleness"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_record_serves_no_longer_than_the_bound_counted_from_when_it_was_asked_for() {
    let it = It::new();
    let one = id("user1", "a");
    it.store.insert(&one, &record("one")).await.unwrap();
    it.store.hold().await;
    let cached = it.cached.clone();
    let read = tokio::spawn({
        let one = one.clone();
        async move { cached.load(&one, Load::new()).await }
    });
    it.store.wait_for_reads(1).await;
    // The reply takes its time, and somebody else ends the session meanwhile.
    it.store.inner.remove(&one).await.unwrap();
    it.clock.advance(ALMOST);
    it.store.let_go().await;
    assert!(read.await.unwrap().unwrap().is_some());
    assert!(
        it.cached.load(&one, Load::new()).await.unwrap().is_some(),
        "within the bound"
    );
    it.clock.advance(MILLISECOND);
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_others_write_shows_when_the_bound_is_over() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    it.store.inner.replace(&one, None, &record("two")).await.unwrap();
    it.clock.advance(BOUND);
    let read = it.cached.load(&one, Load::new()).await.unwrap().unwrap();
    assert_eq!(read.payload, "two");
}

/// A machine that slept, or whose clock was set ahead: the steady clock alone would not tell.
#[tokio::test]
async fn time_counts_by_whichever_clock_says_more() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    // Set back, the clock stands still for the cache; the steady one goes on.
    it.clock.set(START.minus(Duration::from_hours(1)));
    tokio::time::sleep(BOUND).await;
    it.store.loads();
    it.cached.load(&one, Load::new()).await.unwrap();
    assert_eq!(it.store.loads(), 1);
}

#[tokio::test]
async fn a_hit_never_outlives_the_session() {
    let it = It::new();
    let one = id("user1", "a");
    let ends = START.plus(Duration::from_millis(200));
    it.cached.insert(&one, &Record::new("one", Some(ends))).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    it.clock.set(ends.minus(MILLISECOND));
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_some());
    assert_eq!(it.store.loads(), 1);
    it.clock.set(ends);
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_none());
}

/// The server's clock is far ahead: by this machine's the session would live for an hour.
#[tokio::test]
async fn a_hit_never_outlives_what_a_server_says_is_left() {
    let it = It::new();
    let one = id("user1", "a");
    *it.store.left.write().await = Some(Duration::from_millis(200));
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    it.clock.advance(Duration::from_millis(150));
    let hit = it.cached.load(&one, Load::new().with_expiry()).await.unwrap().unwrap();
    let left = match hit.ends {
        Ends::OnServer { left, .. } => left,
        _ => Duration::MAX,
    };
    assert!(left <= Duration::from_millis(50), "{left:?}");
    assert_eq!(it.store.loads(), 1);
    it.clock.advance(Duration::from_millis(50));
    it.cached.load(&one, Load::new()).await.unwrap();
    assert_eq!(it.store.loads(), 1, "the store was asked");
}

#[tokio::test]
async fn a_record_whose_end_nobody_knows_is_not_kept() {
    let near = NearCache::new(10);
    let one = id("user1", "a");
    let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1));
    near.keep(&one, near.ticket(one.key()), &stored, BOUND, None);
    assert!(near.get(&one).is_none());
    near.keep(&one, near.ticket(one.key()), &stored.ending(Ends::Never), BOUND, None);
    assert!(near.get(&one).is_some());
}

#[test]
fn what_is_forgotten_is_not_given_out_and_nor_is_what_was_asked_for_before() {
    let near = NearCache::new(10);
    let one = id("user1", "a");
    let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1)).ending(Ends::Never);
    let before = near.ticket(one.key());
    near.keep(&one, near.ticket(one.key()), &stored, BOUND, None);
    assert!(near.get(&one).is_some());
    near.forget("user1");
    assert!(near.get(&one).is_none());
    near.keep(&one, before, &stored, BOUND, None);
    assert!(near.get(&one).is_none());
}

/// Else a reader who has seen the first session of a user end could see the second one live on, in the moment between the end of
/// a `clear` and its last word.
#[test]
fn what_is_asked_for_during_a_write_of_ones_own_is_not_kept() {
    let near = NearCache::new(10);
    let one = id("user1", "a");
    let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1)).ending(Ends::Never);
    let is_kept = || {
        near.keep(&one, near.ticket(one.key()), &stored, BOUND, None);
        near.get(&one).is_some()
    };
    assert!(is_kept());
    let writes = [near.writing(one.key()), near.writing(one.key())];
    for write in writes {
        assert!(!is_kept());
        near.forget("user1");
        assert!(!is_kept());
        drop(write);
    }
    assert!(near.get(&one).is_none() && is_kept());
}

/// The connection was lost, and then comes what was read over it before.
#[tokio::test]
async fn what_was_read_before_everything_was_forgotten_is_not_kept() {
    let near = NearCache::new(10);
    let one = id("user1", "a");
    let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1)).ending(Ends::Never);
    let ticket = near.ticket(one.key());
    near.forget_all();
    near.keep(&one, ticket, &stored, BOUND, None);
    assert!(near.get(&one).is_none());
}

#[tokio::test]
async fn a_renewal_that_is_due_goes_past_the_cache_and_one_that_is_not_does_not() {
    let it = It::new();
    let one = id("user1", "a");
    let ends = START.plus(Duration::from_hours(1));
    it.cached.insert(&one, &record("one")).await.unwrap();
    let not_due = Load::new().renew(Renewal::new(ends.plus(MILLISECOND), ends));
    for _ in 0..3 {
        it.cached.load(&one, not_due).await.unwrap();
    }
    assert_eq!(it.store.loads(), 1);
    let later = ends.plus(Duration::from_hours(1));
    let due = Load::new().renew(Renewal::new(later, later));
    for _ in 0..3 {
        let renewed = it.cached.load(&one, due).await.unwrap().unwrap();
        assert_eq!(renewed.ends, Ends::At(later));
    }
    assert_eq!(it.store.loads(), 1, "once renewed, it is not due");
    let listed = it.store.list(one.key()).await.unwrap();
    assert_eq!(listed[0].expires_at, Some(later));
}

#[tokio::test]
async fn what_decides_goes_past_the_cache() {
    let it = It::new();
    let sessions = Sessions::builder_on(it.cached.clone())
        .clock(it.clock.clone())
        .grace(Duration::from_secs(10))
        .build()
        .unwrap();
    let elsewhere = Sessions::builder_on(it.store.clone())
        .clock(it.clock.clone())
        .grace(Duration::from_secs(10))
        .build()
        .unwrap();
    let session = sessions.create("user1", json!({"count": 0})).await.unwrap();
    for expected in 1..=10 {
        sessions.get(&session).await.unwrap();
        // The cache does not know of this one.
        elsewhere.update(&session, json!({"count": expected})).await.unwrap();
        let count = |data: &mut jam_core::Data| data["count"].as_u64().unwrap();
        assert_eq!(sessions.modify(&session, count).await.unwrap(), expected);
    }
    let stale = sessions.get(&session).await.unwrap().unwrap();
    elsewhere.delete(&session).await.unwrap();
    assert!(sessions.modify(&session, |_| ()).await.is_err());
    assert!(sessions.rework(&session).await.is_err());
    assert!(sessions.clear_others(&session).await.is_err());
    assert_eq!(sessions.rework_loaded_with_grace(&stale).await.unwrap(), None);
    assert!(!sessions.touch(&session).await.unwrap());
}

/// A user who was told that the session is gone does not see it again.
#[tokio::test]
async fn what_a_read_past_the_cache_found_no_hit_contradicts() {
    let it = It::new();
    let one = id("user1", "a");
    it.cached.insert(&one, &record("one")).await.unwrap();
    it.cached.load(&one, Load::new()).await.unwrap();
    it.store.inner.replace(&one, None, &record("two")).await.unwrap();
    it.cached.load(&one, Load::new().fresh()).await.unwrap();
    assert_eq!(it.cached.load(&one, Load::new()).await.unwrap().unwrap().payload, "two");
    it.store.inner.remove(&one).await.unwrap();
    assert!(it.cached.load(&one, Load::new().fresh()).await.unwrap().is_none());
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_none());
}

#[tokio::test]
async fn that_there_is_no_session_is_never_kept() {
    let it = It::new();
    let one = id("user1", "a");
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_none());
    it.store.inner.insert(&one, &record("one")).await.unwrap();
    assert!(it.cached.load(&one, Load::new()).await.unwrap().is_some());
}

#[tokio::test]
async fn the_capacity_holds_and_large_payloads_count_for_more() {
    let near = NearCache::new(100);
    let keep = |number: usize, payload: Vec<u8>| {
        let id = id(&format!("user{number}"), "a");
        let stored = Stored::new(payload.into(), Version::from_counter(1)).ending(Ends::Never);
        near.keep(&id, near.ticket(id.key()), &stored, LONG, None);
    };
    (0..10_000).for_each(|number| keep(number, b"{}".to_vec()));
    assert!(near.len() <= 100, "{}", near.len());
    near.forget_all();
    (0..10_000).for_each(|number| keep(number, vec![0; 19 * 1024]));
    assert!(near.len() <= 5, "{}", near.len());
    near.forget_all();
    keep(0, vec![0; 200 * 1024]);
    assert!(near.is_empty(), "larger than all of the cache");
}

/// What is compared is not the id itself.
#[test]
fn a_record_is_found_by_the_whole_of_its_id_and_by_no_other() {
    let near = NearCache::new(1 << 20);
    let stored = |number| Stored::new(Bytes::from_static(b"{}"), Version::from_counter(number)).ending(Ends::Never);
    let keep = |id: &RecordId, number| near.keep(id, near.ticket(id.key()), &stored(number), LONG, None);
    let found = |id: &RecordId| near.get(id).map(|stored| stored.version);
    keep(&id("user1", "a1"), 0);
    for other in [
        id("user2", "a1"),
        id("user1", "a"),
        id("user1", "a2"),
        id("user1a", "1"),
        id("user", "1a1"),
    ] {
        assert_eq!(found(&other), None, "{other:?}");
    }
    let ids: Vec<RecordId> = (0..100_000)
        .map(|number| id(&format!("user{}", number / 4), &number.to_string()))
        .collect();
    ids.iter().zip(0..).for_each(|(id, number)| keep(id, number));
    for (id, number) in ids.iter().zip(0..) {
        assert_eq!(found(id), Some(Version::from_counter(number)));
    }
}

#[test]
fn a_large_payload_has_room_in_any_cache_for_256_and_more() {
    for (capacity, room) in [
        (0, false),
        (200, false),
        (256, true),
        (511, true),
        (512, true),
        (767, true),
        (768, true),
        (1_023, true),
        (1 << 20, true),
        (u64::MAX, true),
    ] {
        let (near, id) = (NearCache::new(capacity), id("user1", "a"));
        let stored = Stored::new(vec![0; 240 * 1024].into(), Version::from_counter(1)).ending(Ends::Never);
        near.keep(&id, near.ticket(id.key()), &stored, LONG, None);
        assert_eq!(near.get(&id).is_some(), room, "{capacity}");
    }
}

#[test]
fn a_store_behind_a_cache_keeps_its_name() {
    let it = It::new();
    assert_eq!(it.cached.name(), it.store.name());
}

/// Nobody knows how old a hit of the one underneath is.
#[tokio::test]
async fn what_another_cache_had_is_not_kept_once_more() {
    let it = It::new();
    let inner = CachingStore::with_clock(Arc::clone(&it.store), LONG, 1_000, it.clock.clone());
    let inner = Arc::new(inner);
    let outer = CachingStore::with_clock(Arc::clone(&inner), LONG, 1_000, it.clock.clone());
    let a = id("user1", "a");
    it.store.insert(&a, &record("{}")).await.unwrap();
    inner.load(&a, Load::new()).await.unwrap();
    assert!(outer.load(&a, Load::new()).await.unwrap().unwrap().cached);
    inner.remove(&a).await.unwrap();
    assert!(outer.load(&a, Load::new()).await.unwrap().is_none());
}
