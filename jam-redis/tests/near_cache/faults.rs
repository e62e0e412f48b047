//! Networks and servers at their worst: nothing is given out that was changed for longer than the bound.

use std::time::{Duration, Instant};

use jam_core::{Load, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};

use crate::{BOUND, SOON, eventually, id, is_kept, near, payload, record, tracks, warm};

/// Some to spare for a reader that has to wait for a thread.
const SPARE: Duration = Duration::from_millis(100);

/// Reads until the end of a session shows, or the store says that it does not know; how long it was seen.
async fn seen(store: &RedisStore, one: &jam_core::RecordId) -> Duration {
    let since = Instant::now();
    loop {
        let asked = Instant::now();
        let read = tokio::time::timeout(Duration::from_secs(3), store.load(one, Load::new())).await;
        if !matches!(read, Ok(Ok(Some(_)))) {
            return asked.saturating_duration_since(since);
        }
        assert!(since.elapsed() < Duration::from_secs(10), "seen for ever");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_that_swallows_everything_delays_nothing_beyond_the_bound() {
    for bound in [BOUND, Duration::from_millis(200)] {
        let server = Server::start(Kind::New);
        let proxy = Proxy::start(server.address());
        let store = near(proxy.url()).near_cache_staleness(bound).open().await.unwrap();
        let other = RedisStore::open(server.url()).await.unwrap();
        for round in 0..5 {
            let one = id(&format!("user{round}"), "one");
            store.insert(&one, &record("{}", None)).await.unwrap();
            warm(&store, &server, &one).await;
            assert!(is_kept(&store, &server, &one).await);
            proxy.black_hole();
            assert!(other.remove(&one).await.unwrap());
            let seen = seen(&store, &one).await;
            assert!(seen < bound + SPARE, "{seen:?}");
            proxy.heal();
            eventually("and then", || async {
                matches!(store.load(&one, Load::new()).await, Ok(None))
            })
            .await;
        }
    }
}

/// The server's messages come, but late: what they say is no older than the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_network_delays_nothing_beyond_the_bound() {
    let bound = Duration::from_millis(300);
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = near(proxy.url()).near_cache_staleness(bound).open().await.unwrap();
    let other = RedisStore::open(server.url()).await.unwrap();
    for round in 0..10 {
        let one = id(&format!("user{round}"), "one");
        store.insert(&one, &record("{}", None)).await.unwrap();
        warm(&store, &server, &one).await;
        proxy.delay(Duration::from_millis(200)..=Duration::from_millis(400));
        assert!(other.remove(&one).await.unwrap());
        let seen = seen(&store, &one).await;
        assert!(seen < bound + SPARE, "{seen:?}");
        proxy.heal();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_was_killed_leaves_nothing_behind() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        // The bound would not help in time.
        let store = near(server.url())
            .near_cache_staleness(Duration::from_mins(1))
            .open()
            .await
            .unwrap();
        let one = id("user1", "one");
        for _ in 0..10 {
            store.insert(&one, &record("{}", None)).await.unwrap();
            warm(&store, &server, &one).await;
            assert!(is_kept(&store, &server, &one).await);
            assert!(server.command(&["CLIENT", "KILL", "TYPE", "normal"]).int() >= 2);
            server.command(&["DEL", "sessions:user1"]);
            let since = Instant::now();
            eventually("its end", || async {
                matches!(store.load(&one, Load::new()).await, Ok(None))
            })
            .await;
            assert!(since.elapsed() < SOON, "{kind:?}: {:?}", since.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_connection_was_lost_reads_are_kept_again() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = near(proxy.url()).open().await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    for _ in 0..5 {
        warm(&store, &server, &one).await;
        assert!(is_kept(&store, &server, &one).await);
        proxy.sever();
        eventually("it is off", || async {
            tracks(&server) == 0 || store.load(&one, Load::new()).await.is_err()
        })
        .await;
        eventually("it is back", || async { store.load(&one, Load::new()).await.is_ok() }).await;
    }
}

/// Without a tracked connection the store works as one without a near cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cache_that_cannot_be_had_takes_nothing_away() {
    let server = Server::options(Kind::New)
        .acl_user("app", "on >secret ~* +@all -client|tracking")
        .start();
    let url = format!("redis://app:secret@{}", server.address());
    let store = near(&url).connect_lazily(true).open().await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    for _ in 0..100 {
        assert!(payload(&store, &one).await.is_some());
    }
    assert!(!is_kept(&store, &server, &one).await);
    server.command(&["DEL", "sessions:user1"]);
    assert_eq!(payload(&store, &one).await, None);
}

/// A server that hangs is a server that is away, and no call takes longer for the cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_hangs_is_told_within_the_response_timeout() {
    let server = Server::start(Kind::New);
    let timeout = Duration::from_secs(1);
    let store = near(server.url())
        .near_cache_staleness(Duration::from_mins(1))
        .response_timeout(timeout)
        .connect_timeout(timeout)
        .open()
        .await
        .unwrap();
    let (one, two) = (id("user1", "one"), id("user2", "two"));
    store.insert(&one, &record("{}", None)).await.unwrap();
    store.insert(&two, &record("{}", None)).await.unwrap();
    warm(&store, &server, &one).await;
    tokio::task::block_in_place(|| server.pause());
    let since = Instant::now();
    let error = store.load(&two, Load::new()).await.unwrap_err();
    let took = since.elapsed();
    tokio::task::block_in_place(|| server.resume());
    assert_eq!(error.kind(), jam_core::ErrorKind::Unavailable);
    assert!(took < timeout + timeout / 2, "{took:?}");
}

/// The runtime that the connection lived on has ended; the store goes on in another one.
#[test]
fn a_runtime_that_ends_leaves_nothing_behind() {
    let server = Server::start(Kind::New);
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };
    let one = id("user1", "one");
    let first = runtime();
    let store = first.block_on(async {
        let store = near(server.url())
            .near_cache_staleness(Duration::from_mins(1))
            .open()
            .await
            .unwrap();
        store.insert(&one, &record("{}", None)).await.unwrap();
        warm(&store, &server, &one).await;
        store
    });
    drop(first);
    server.command(&["DEL", "sessions:user1"]);
    let second = runtime();
    second.block_on(async {
        eventually("its end", || async {
            matches!(store.load(&one, Load::new()).await, Ok(None))
        })
        .await;
        store.insert(&one, &record("{}", None)).await.unwrap();
        warm(&store, &server, &one).await;
    });
    drop(store);
}
