//! A lease: how long a connection is trusted that tells what changed.

use std::sync::Arc;
use std::time::Duration;

use jam_core::cache::{CachingStore, Lease, NearCache};
use jam_core::{Bytes, Ends, ManualClock, MemoryStore, Stored, Version};

use super::{BOUND, START, id};

const MILLISECOND: Duration = Duration::from_millis(1);
/// A millisecond less than the bound.
const ALMOST: Duration = BOUND.saturating_sub(MILLISECOND);

/// A cache on a clock of its own, with one record under a lease.
fn near() -> (Arc<ManualClock>, NearCache, Arc<Lease>) {
    let clock = Arc::new(ManualClock::new(START));
    let near = NearCache::with_clock(10, clock.clone());
    let lease = Arc::new(Lease::new(BOUND, near.now()));
    let one = id("user1", "a");
    let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1)).ending(Ends::Never);
    near.keep(
        &one,
        near.ticket(one.key()),
        &stored,
        Duration::MAX,
        Some(lease.clone()),
    );
    (clock, near, lease)
}

#[test]
fn a_record_counts_while_the_last_answered_question_was_sent_within_the_bound() {
    let (clock, near, lease) = near();
    let one = id("user1", "a");
    clock.advance(ALMOST);
    assert!(near.get(&one).is_some());
    let sent = near.now();
    clock.advance(MILLISECOND);
    assert!(near.get(&one).is_none(), "nobody has answered");
    lease.confirm(sent);
    assert!(near.get(&one).is_some(), "and then somebody has");
    clock.advance(ALMOST.saturating_sub(MILLISECOND));
    assert!(near.get(&one).is_some());
    clock.advance(MILLISECOND);
    assert!(near.get(&one).is_none(), "counted from when the question was sent");
}

#[test]
fn an_answer_that_comes_late_takes_nothing_back() {
    let (clock, near, lease) = near();
    let early = near.now();
    std::thread::sleep(MILLISECOND);
    clock.advance(ALMOST);
    lease.confirm(near.now());
    lease.confirm(early);
    clock.advance(ALMOST);
    assert!(near.get(&id("user1", "a")).is_some());
}

#[test]
fn the_age_of_a_lease_counts_from_when_the_last_question_was_sent() {
    let (clock, near, lease) = near();
    std::thread::sleep(MILLISECOND);
    clock.advance(ALMOST);
    let sent = near.now();
    lease.confirm(sent);
    assert_eq!(lease.age(sent), Duration::ZERO);
    clock.advance(MILLISECOND);
    assert!(lease.age(near.now()) >= MILLISECOND);
}

#[test]
fn what_was_kept_under_a_lease_ends_with_it() {
    let (_clock, near, lease) = near();
    assert!(lease.holds(near.now()));
    lease.end();
    lease.confirm(near.now());
    assert!(!lease.holds(near.now()) && lease.has_ended());
    assert!(near.get(&id("user1", "a")).is_none());
}

#[test]
fn a_cache_that_holds_something_is_not_empty() {
    let (clock, near, _) = near();
    assert_eq!((near.len(), near.is_empty()), (1, false));
    assert!(NearCache::with_clock(10, clock).is_empty());
    near.forget_all();
    assert!(near.is_empty());
}

#[test]
fn caches_show_how_they_are_set_and_nothing_of_what_they_hold() {
    let (_, near, _) = near();
    assert_eq!(near.len(), 1);
    assert_eq!(format!("{near:?}"), "NearCache { records: 1, .. }");
    let caching = CachingStore::new(MemoryStore::new(), BOUND, 10);
    let shown = format!("{caching:?}");
    let bound = format!("max_staleness: {BOUND:?}, .. }}");
    assert!(shown.starts_with("CachingStore { store: MemoryStore"), "{shown}");
    assert!(shown.ends_with(&bound), "{shown}");
}

#[test]
fn a_write_under_way_shows_no_session_key() {
    let (_, near, _) = near();
    let one = id("user1", "a");
    let shown = format!("{:?}", near.writing(one.key()));
    assert_eq!(shown, "Writing { .. }");
}
