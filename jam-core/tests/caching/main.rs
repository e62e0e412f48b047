//! The caching store: what a hit may be, and what makes it forget.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod lease;
mod races;
mod watched;
mod writes;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jam_core::cache::CachingStore;
use jam_core::conformance::{Suite, Task};
use jam_core::{Clock, ManualClock, MemoryStore, Record, RecordId, SessionKey, Timestamp};

use self::watched::Watched;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const BOUND: Duration = Duration::from_millis(500);

fn id(key: &str, id: &str) -> RecordId {
    RecordId::new(SessionKey::new(key).unwrap(), id).unwrap()
}

fn record(payload: &'static str) -> Record {
    Record::new(payload, Some(START.plus(Duration::from_hours(1))))
}

/// A store that is watched, the cache around it, and the clock of both.
struct It {
    clock: Arc<ManualClock>,
    store: Arc<Watched>,
    cached: Arc<CachingStore<Arc<Watched>>>,
}

impl It {
    fn new() -> Self {
        Self::holding(1_000)
    }

    fn holding(capacity: u64) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let store = Arc::new(Watched::new(MemoryStore::with_clock(clock.clone())));
        let cached = CachingStore::with_clock(Arc::clone(&store), BOUND, capacity, clock.clone());
        Self {
            clock,
            store,
            cached: Arc::new(cached),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_behind_a_cache_keeps_the_contract() {
    let open = |clock: Arc<dyn Clock>| async move {
        let store = MemoryStore::with_clock(Arc::clone(&clock));
        Ok(CachingStore::with_clock(store, Duration::from_hours(1), 10_000, clock))
    };
    Suite::new(open, |task: Task| drop(tokio::spawn(task))).run().await;
}

/// Each handle with a cache of its own, which hears nothing of what the other writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_caches_around_one_store_keep_the_contract_past_them() {
    let around = |store: &Arc<MemoryStore>, clock: &Arc<dyn Clock>| {
        CachingStore::with_clock(Arc::clone(store), Duration::from_hours(1), 10_000, Arc::clone(clock))
    };
    let current = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&current);
    let open = move |clock: Arc<dyn Clock>| {
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock)));
        let cached = around(&store, &clock);
        *shared.lock().unwrap() = Some(around(&store, &clock));
        async move { Ok(cached) }
    };
    Suite::new(open, |task: Task| drop(tokio::spawn(task)))
        .second_handle(move |_| {
            let second = current.lock().unwrap().take().unwrap();
            async move { Ok(second) }
        })
        .cached()
        .run()
        .await;
}
