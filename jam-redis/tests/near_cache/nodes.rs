//! Several servers: slots that move, primaries that fail.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jam_core::{Load, RecordId, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Cluster, Kind, Sentinels, Server, slot_of};

use crate::fake_sentinel::stubborn;
use crate::{BOUND, cluster_url, eventually, id, is_kept, near, payload, record, tracks, warm};

/// Waits until a call succeeds.
async fn removed(store: &RedisStore, one: &RecordId) {
    eventually("it is removed", || async {
        matches!(store.remove(one).await, Ok(true))
    })
    .await;
}

/// How long a session that has ended is still seen.
async fn seen(store: &RedisStore, one: &RecordId, since: Instant) -> Duration {
    loop {
        let asked = Instant::now();
        if !matches!(store.load(one, Load::new()).await, Ok(Some(_))) {
            return asked.saturating_duration_since(since);
        }
        assert!(since.elapsed() < Duration::from_secs(20), "seen for ever");
        tokio::task::yield_now().await;
    }
}

/// A slot goes to another node, and there the session is ended. The reader never hears of a redirection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slot_that_moves_leaves_nothing_behind() {
    for kind in [Kind::New, Kind::Old] {
        let cluster = Cluster::start(kind);
        // The bound would not help in time.
        let store = near(cluster_url(&cluster))
            .near_cache_staleness(Duration::from_mins(1))
            .open()
            .await
            .unwrap();
        let other = RedisStore::open(cluster_url(&cluster)).await.unwrap();
        for round in 0..6 {
            let key = format!("{{m{round}}}");
            let one = id(&key, "one");
            store.insert(&one, &record("{}", None)).await.unwrap();
            let hash = format!("sessions:{key}");
            let from = cluster.primary_of(&hash);
            // A connection whose slot has moved before is opened anew first.
            eventually("it is kept", || async {
                warm(&store, from, &one).await;
                is_kept(&store, from, &one).await
            })
            .await;
            let primaries = cluster.primaries();
            let to = primaries.iter().find(|node| node.port() != from.port()).unwrap();
            tokio::task::block_in_place(|| cluster.reshard(slot_of(&hash), to));
            removed(&other, &one).await;
            let seen = seen(&store, &one, Instant::now()).await;
            assert!(seen < crate::SOON, "{kind:?}: seen for {seen:?}");
        }
    }
}

/// A primary that answers and serves nothing, as in the smaller part of a cluster that was cut in two: who takes its place
/// may change what it does not hear of, so nothing that was read from it counts for longer than the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_serves_the_hash_no_more_is_not_trusted_beyond_the_bound() {
    for kind in [Kind::New, Kind::Old] {
        let cluster = Cluster::start(kind);
        let store = near(cluster_url(&cluster)).open().await.unwrap();
        let one = id("user1", "one");
        store.insert(&one, &record("{}", None)).await.unwrap();
        let primary = cluster.primary_of("sessions:user1");
        warm(&store, primary, &one).await;
        assert!(is_kept(&store, primary, &one).await);
        let slot = slot_of("sessions:user1").to_string();
        primary.command(&["CLUSTER", "DELSLOTS", &slot]);
        let seen = seen(&store, &one, Instant::now()).await;
        assert!(seen < BOUND, "{kind:?}: {seen:?}");
        // Its tracked connection is there all the while.
        let since = Instant::now();
        while since.elapsed() < 2 * BOUND {
            assert!(!matches!(store.load(&one, Load::new()).await, Ok(Some(_))));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// As after a migration that takes a slot in one step and leaves its keys behind for a while: the node says nothing of what
/// happens to them elsewhere, and goes on serving other slots, over the same connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slot_that_a_node_serves_no_more_is_not_trusted_beyond_the_bound() {
    for kind in [Kind::New, Kind::Old] {
        let cluster = Cluster::start(kind);
        for node in cluster.nodes() {
            node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        }
        let store = near(cluster_url(&cluster)).open().await.unwrap();
        let primary = cluster.primary_of("sessions:user1");
        let is_there = |key: &String| cluster.primary_of(&format!("sessions:{key}")).port() == primary.port();
        let key = (2..1_000).map(|number| format!("user{number}")).find(is_there).unwrap();
        let (probed, other) = (id("user1", "one"), id(&key, "one"));
        store.insert(&probed, &record("{}", None)).await.unwrap();
        store.insert(&other, &record("{}", None)).await.unwrap();
        warm(&store, primary, &probed).await;
        warm(&store, primary, &other).await;
        assert!(is_kept(&store, primary, &other).await);
        let slot = slot_of(&format!("sessions:{key}")).to_string();
        assert!(primary.command(&["CLUSTER", "DELSLOTS", &slot]).is_ok());
        // Reads of others show all the while that the node is there.
        let reading = async {
            for number in 0_u64.. {
                drop(store.load(&id("user1", &number.to_string()), Load::new()).await);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let seen = tokio::select! {
            seen = seen(&store, &other, Instant::now()) => seen,
            () = reading => unreachable!(),
        };
        assert!(seen < 2 * BOUND, "{kind:?}: {seen:?}");
    }
}

/// The old primary lives on as a replica, and its connections with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_was_replaced_is_not_trusted_beyond_the_bound() {
    let cluster = Cluster::start(Kind::New);
    let store = near(cluster_url(&cluster)).open().await.unwrap();
    let other = RedisStore::open(cluster_url(&cluster)).await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    for _ in 0..2 {
        warm(&store, cluster.primary_of("sessions:user1"), &one).await;
        tokio::task::block_in_place(|| cluster.fail_over("sessions:user1"));
        eventually("it serves again", || async {
            other.replace(&one, None, &record("{}", None)).await.is_ok()
        })
        .await;
    }
    warm(&store, cluster.primary_of("sessions:user1"), &one).await;
    tokio::task::block_in_place(|| cluster.fail_over("sessions:user1"));
    removed(&other, &one).await;
    let seen = seen(&store, &one, Instant::now()).await;
    assert!(seen < BOUND, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_hangs_and_is_replaced_is_not_trusted_beyond_the_bound() {
    let cluster = Cluster::start(Kind::New);
    let store = near(cluster_url(&cluster)).open().await.unwrap();
    let other = RedisStore::open(cluster_url(&cluster)).await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    let primary = cluster.primary_of("sessions:user1");
    warm(&store, primary, &one).await;
    tokio::task::block_in_place(|| primary.pause());
    removed(&other, &one).await;
    let seen = seen(&store, &one, Instant::now()).await;
    tokio::task::block_in_place(|| primary.resume());
    assert!(seen < BOUND, "{seen:?}");
    // Back, it does not bring anything back.
    let since = Instant::now();
    while since.elapsed() < 2 * BOUND {
        assert!(!matches!(store.load(&one, Load::new()).await, Ok(Some(_))));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failover_by_sentinels_leaves_nothing_behind() {
    let sentinels = Sentinels::start(Kind::New);
    let addresses: Vec<_> = sentinels.sentinel_addresses().iter().map(ToString::to_string).collect();
    let url = format!("redis+sentinel://{}/{}", addresses.join(","), Sentinels::SERVICE);
    let store = near(&url).open().await.unwrap();
    let other = RedisStore::open(&url).await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    let before: &Server = sentinels.primary();
    warm(&store, before, &one).await;
    assert!(is_kept(&store, before, &one).await);
    tokio::task::block_in_place(|| sentinels.fail_over());
    // The replica may not have had the session: what counts is that it is told of the new primary.
    eventually("it serves again", || async { other.clear(one.key()).await.is_ok() }).await;
    let seen = seen(&store, &one, Instant::now()).await;
    assert!(seen < BOUND, "{seen:?}");
    eventually("it serves again", || async {
        store.insert(&one, &record("{}", None)).await.is_ok()
    })
    .await;
    warm(&store, sentinels.primary(), &one).await;
    assert!(tracks(sentinels.primary()) > 0 && payload(&store, &one).await.is_some());
}

/// Sentinels that are cut off from each other may name two primaries. Whoever writes to the one must not read from the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_sentinels_disagree_reads_are_kept_of_the_server_that_is_written_to() {
    let sides = [Sentinels::start(Kind::New), Sentinels::start(Kind::New)];
    let addresses = sides.each_ref().map(|side| side.sentinel_addresses()[0].to_string());
    let url = format!("redis+sentinel://{}/{}", addresses.join(","), Sentinels::SERVICE);
    let one = id("user1", "one");
    let tracked = || tokio::task::block_in_place(|| sides.iter().any(|side| tracks(side.primary()) > 0));
    for _ in 0..8 {
        let store = near(&url).open().await.unwrap();
        store.insert(&one, &record("{}", None)).await.unwrap();
        eventually("reads are tracked", || async {
            assert!(payload(&store, &one).await.is_some(), "it was just written");
            tracked()
        })
        .await;
        for _ in 0..20 {
            assert!(payload(&store, &one).await.is_some(), "it was just written");
        }
        removed(&store, &one).await;
        store.close().await.unwrap();
        eventually("nothing is tracked any more", || async { !tracked() }).await;
    }
}

/// It stood still while the sentinels named the next one, and has not been made a replica yet. The reader only ever meets
/// what it keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_primary_that_goes_on_answering_is_not_trusted_for_ever() {
    let (old, new) = (Server::start(Kind::New), Server::start(Kind::New));
    let named = Arc::new(Mutex::new(old.address()));
    let url = format!("redis+sentinel://{}/jam", stubborn(&named));
    let store = near(&url).open().await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    warm(&store, &old, &one).await;
    assert!(is_kept(&store, &old, &one).await);
    *named.lock().unwrap() = new.address();
    seen(&store, &one, Instant::now()).await;
    assert_eq!(old.command(&["DBSIZE"]).int(), 1, "it is still there");
}
