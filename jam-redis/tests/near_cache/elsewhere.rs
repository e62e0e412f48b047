//! What others write: it shows as soon as the server says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jam_core::{Load, Rename, SessionStore, Sessions};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use serde_json::json;
use tokio::task::JoinSet;

use crate::common::after;
use crate::{SOON, eventually, id, is_kept, near, payload, record, warm};

#[derive(Clone, Copy, Debug)]
enum Write {
    Remove,
    Clear,
    Replace,
    RenameInItsKey,
    RenameToAnotherKey,
    Touch,
    FlushAll,
    FlushDb,
    Delete,
}

impl Write {
    const ALL: [Self; 9] = [
        Self::Remove,
        Self::Clear,
        Self::Replace,
        Self::RenameInItsKey,
        Self::RenameToAnotherKey,
        Self::Touch,
        Self::FlushAll,
        Self::FlushDb,
        Self::Delete,
    ];

    async fn make(self, server: &Server, store: &RedisStore) {
        let one = id("user1", "one");
        match self {
            Self::Remove => assert!(store.remove(&one).await.unwrap()),
            Self::Clear => assert_eq!(store.clear(one.key()).await.unwrap(), 1),
            Self::Replace => store.replace(&one, None, &record("two", Some(60_000))).await.unwrap(),
            Self::RenameInItsKey | Self::RenameToAnotherKey => {
                let version = store.load(&one, Load::new()).await.unwrap().unwrap().version;
                let to = match self {
                    Self::RenameInItsKey => id("user1", "two"),
                    _ => id("user2", "two"),
                };
                let new = record("two", Some(60_000));
                store.rename(Rename::new(&one, &version, &to, &new)).await.unwrap();
            }
            Self::Touch => assert!(store.touch(&one, after(Duration::from_mins(2))).await.unwrap()),
            Self::FlushAll => drop(server.command(&["FLUSHALL"])),
            Self::FlushDb => drop(server.command(&["FLUSHDB", "ASYNC"])),
            Self::Delete => drop(server.command(&["DEL", "sessions:user1"])),
        }
    }

    const fn leaves(self) -> Option<&'static str> {
        match self {
            Self::Replace => Some("two"),
            Self::Touch => Some("one"),
            _ => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_another_process_writes_shows_as_soon_as_the_server_says_so() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        // The bound would not help in time.
        let store = near(server.url())
            .near_cache_staleness(Duration::from_mins(1))
            .open()
            .await
            .unwrap();
        let other = RedisStore::open(server.url()).await.unwrap();
        for write in Write::ALL {
            server.command(&["FLUSHALL"]);
            let one = id("user1", "one");
            store.insert(&one, &record("one", Some(60_000))).await.unwrap();
            warm(&store, &server, &one).await;
            assert!(is_kept(&store, &server, &one).await, "{kind:?} {write:?}");
            write.make(&server, &other).await;
            let expected = write.leaves();
            let since = Instant::now();
            if expected == Some("one") {
                // Nothing of it shows but its end.
                let ends = || async {
                    let read = store.load(&one, Load::new().with_expiry()).await.unwrap().unwrap();
                    read.ends.at().unwrap() > after(Duration::from_secs(90))
                };
                eventually("its end", ends).await;
            }
            eventually("what was written", || async {
                payload(&store, &one).await.as_deref() == expected
            })
            .await;
            assert!(since.elapsed() < SOON, "{kind:?} {write:?}: {:?}", since.elapsed());
        }
    }
}

/// Once the other process has its answer, the bound runs; after it nobody sees the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_was_ended_elsewhere_is_never_seen_after_the_bound() {
    for kind in [Kind::Old, Kind::New] {
        let bound = Duration::from_millis(500);
        let server = Server::start(kind);
        let ours = near(server.url()).near_cache_staleness(bound).open().await.unwrap();
        let (ours, others) = (
            Sessions::new(ours),
            Sessions::new(RedisStore::open(server.url()).await.unwrap()),
        );
        let (mut stale, rounds) = (0, 300);
        for round in 0..rounds {
            let id = ours.create("user1", json!({})).await.unwrap();
            ours.get(&id).await.unwrap().unwrap();
            let reader = tokio::spawn({
                let (ours, id) = (ours.clone(), id.clone());
                async move {
                    while ours.get(&id).await.unwrap().is_some() {
                        tokio::task::yield_now().await;
                    }
                    Instant::now()
                }
            });
            match round % 3 {
                0 => assert!(others.delete(&id).await.unwrap()),
                1 => assert!(others.clear("user1").await.unwrap() > 0),
                _ => {
                    let handle = others.list("user1").await.unwrap()[0].handle().clone();
                    assert!(others.revoke("user1", handle.as_str()).await.unwrap());
                }
            }
            let ended = Instant::now();
            stale += usize::from(ours.get(&id).await.unwrap().is_some());
            let seen = reader.await.unwrap().saturating_duration_since(ended);
            assert!(seen < bound, "{kind:?}: seen for {seen:?}");
            assert!(ours.get(&id).await.unwrap().is_none(), "and never again");
        }
        println!("{kind:?}: {stale} of {rounds} were seen once more");
    }
}

/// The reply to a read and the message that makes it worthless arrive one behind the other, while many tasks wait for either.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_read_while_another_process_wrote_is_not_kept() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = near(server.url())
            .near_cache_staleness(Duration::from_mins(1))
            .open()
            .await
            .unwrap();
        let (store, other) = (Arc::new(store), RedisStore::open(server.url()).await.unwrap());
        let one = id("user1", "one");
        store.insert(&one, &record("{}", None)).await.unwrap();
        warm(&store, &server, &one).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        for _ in 0..16 {
            let (store, one, stop) = (Arc::clone(&store), one.clone(), Arc::clone(&stop));
            readers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    store.load(&one, Load::new()).await.unwrap().unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        for round in 0..800 {
            let new = round.to_string();
            let written = jam_core::Record::new(new.clone(), None);
            other.replace(&one, None, &written).await.unwrap();
            eventually("what was written", || async {
                payload(&store, &one).await.as_ref() == Some(&new)
            })
            .await;
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = readers.join_next().await {
            ended.unwrap();
        }
    }
}

/// With the jamlib layout others write the hash in their own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_another_program_writes_shows_too() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = near(server.url())
            .layout(jam_redis::Layout::Jamlib)
            .open()
            .await
            .unwrap();
        let one = id("user1", "one");
        server.command(&["HSET", "sessions:user1", "one", "{\"by\":\"python\"}"]);
        warm(&store, &server, &one).await;
        assert!(is_kept(&store, &server, &one).await);
        server.command(&["HSET", "sessions:user1", "one", "{\"by\":\"python again\"}"]);
        let again = || async { payload(&store, &one).await.as_deref() == Some("{\"by\":\"python again\"}") };
        eventually("what python wrote", again).await;
        server.command(&["HDEL", "sessions:user1", "one"]);
        eventually("its end", || async { payload(&store, &one).await.is_none() }).await;
    }
}

/// What a key is called decides nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_of_every_kind_are_told() {
    let server = Server::start(Kind::New);
    let store = near(server.url())
        .near_cache_staleness(Duration::from_mins(1))
        .open()
        .await
        .unwrap();
    let other = RedisStore::open(server.url()).await.unwrap();
    for key in ["a", "sessions:", "a b", "\0\r\n", "{x}", "ü😀", ":", &"k".repeat(512)] {
        let one = id(key, "one");
        store.insert(&one, &record("{}", None)).await.unwrap();
        warm(&store, &server, &one).await;
        assert!(is_kept(&store, &server, &one).await, "{key:?}");
        assert!(other.remove(&one).await.unwrap());
        eventually(key, || async { payload(&store, &one).await.is_none() }).await;
    }
}
