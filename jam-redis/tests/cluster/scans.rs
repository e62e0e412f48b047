//! A walk over every session while slots move and servers change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jam_core::{Cursor, ErrorKind, SessionKey, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server, slot_of};

use crate::Stage;
use crate::support::{id, open, path, record, slots_of, tag, tagged};

/// A walk in small steps.
struct Walk {
    store: Arc<RedisStore>,
    next: Option<Cursor>,
    seen: BTreeSet<String>,
    pages: usize,
    failures: usize,
}

impl Walk {
    fn new(store: &Arc<RedisStore>) -> Self {
        Self {
            store: Arc::clone(store),
            next: None,
            seen: BTreeSet::new(),
            pages: 0,
            failures: 0,
        }
    }

    /// One step; whether there is another.
    async fn step(&mut self) -> bool {
        let mut tries = 0;
        let page = loop {
            match self.store.scan(self.next.clone(), 1).await {
                Ok(page) => break page,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    tries += 1;
                    self.failures += 1;
                    assert!(tries < 4, "it does not look for the new primary: {error}");
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
            }
        };
        for entry in page.entries {
            self.seen.insert(entry.id.key().as_str().to_owned());
        }
        self.next = page.next;
        self.pages += 1;
        assert!(self.pages < 20_000, "the walk comes to no end");
        self.next.is_some()
    }

    /// Goes on until so many keys with this prefix were seen.
    async fn until(&mut self, prefix: &str, count: usize) {
        while self.seen.iter().filter(|key| key.contains(prefix)).count() < count {
            assert!(self.step().await, "the walk ended before {count} of {prefix} were seen");
        }
    }

    async fn finish(mut self) -> BTreeSet<String> {
        while self.next.is_some() {
            self.step().await;
        }
        self.seen
    }
}

/// Three primaries in the order in which they are walked over, with sessions of their own, and a tag whose slot is the
/// first of the last one's.
struct Order<'a> {
    primaries: Vec<&'a Server>,
    moving: String,
    keys: BTreeSet<String>,
}

impl<'a> Order<'a> {
    async fn set(cluster: &'a Stage, store: &RedisStore) -> Self {
        let mut primaries = cluster.primaries();
        primaries.sort_by_key(|node| node.port());
        let last = slots_of(primaries[2], primaries[2].port());
        let mut low: Vec<_> = last.iter().copied().collect();
        low.sort_unstable();
        let low: BTreeSet<_> = low.into_iter().take(400).collect();
        let moving = tag("moving", |slot| low.contains(&slot));
        let mut keys = BTreeSet::new();
        for (name, node) in ["first", "second", "third"].iter().zip(&primaries) {
            let slots = slots_of(node, node.port());
            let numbers = (0..).map(|number| format!("{{{name}{number}}}"));
            let tags = numbers.filter(|tag| {
                let slot = slot_of(tag);
                slots.contains(&slot) && !low.contains(&slot)
            });
            keys.extend(tags.take(20));
        }
        keys.extend((0..20).map(|number| format!("{{{moving}}}{number}")));
        for key in &keys {
            let key = SessionKey::new(key).unwrap();
            store.insert(&id(&key, "there"), &record("x")).await.unwrap();
        }
        Self {
            primaries,
            moving,
            keys,
        }
    }

    fn slot(&self) -> u16 {
        slot_of(&self.moving)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_gives_the_sessions_of_a_slot_that_moves_from_a_node_ahead_to_one_behind() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let order = Order::set(&cluster, &store).await;
    let mut walk = Walk::new(&store);
    walk.until("second", 1).await;
    cluster.reshard(order.slot(), order.primaries[0]);
    assert_eq!(walk.finish().await, order.keys);
    cluster.reshard(order.slot(), order.primaries[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_gives_the_sessions_of_a_slot_that_stays_open_with_half_its_keys_moved() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let order = Order::set(&cluster, &store).await;
    let migration = cluster.begin_migrating(order.slot(), order.primaries[0]);
    let mut walk = Walk::new(&store);
    walk.until("second", 1).await;
    assert_eq!(migration.move_keys(10), 10);
    assert_eq!(walk.finish().await, order.keys);
    // The same when the slot is opened on the way.
    migration.finish();
    cluster.reshard(order.slot(), order.primaries[2]);
    let mut walk = Walk::new(&store);
    walk.until("second", 1).await;
    let migration = cluster.begin_migrating(order.slot(), order.primaries[0]);
    migration.move_keys(10);
    assert_eq!(walk.finish().await, order.keys);
    migration.finish();
    cluster.reshard(order.slot(), order.primaries[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_gives_the_sessions_of_a_slot_that_moves_away_and_back_while_nobody_looks() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let order = Order::set(&cluster, &store).await;
    let mut walk = Walk::new(&store);
    walk.until("second", 1).await;
    cluster.reshard(order.slot(), order.primaries[0]);
    walk.until("third", 19).await;
    cluster.reshard(order.slot(), order.primaries[2]);
    assert_eq!(walk.finish().await, order.keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_goes_on_after_a_failover_and_gives_every_session() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let order = Order::set(&cluster, &store).await;
    let mut walk = Walk::new(&store);
    walk.until("first", 10).await;
    // There and back again: other tables, other cursors, the same addresses.
    let key = format!("{{{}}}", order.moving);
    cluster.fail_over(&key);
    walk.step().await;
    cluster.fail_over(&key);
    assert_eq!(walk.finish().await, order.keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_only_walks_finds_the_new_primaries_by_itself() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let order = Order::set(&cluster, &store).await;
    // The old primary goes on as a replica, which would answer, but not for long with all there is.
    cluster.fail_over(&format!("{{{}}}", order.moving));
    let mut walk = Walk::new(&store);
    walk.step().await;
    assert_eq!(walk.failures, 0, "there was a primary all the time");
    assert_eq!(walk.finish().await, order.keys);
    // And one that dies on the way.
    let mut walk = Walk::new(&store);
    walk.until("first", 1).await;
    // Long after who serves what was read.
    tokio::time::sleep(Duration::from_millis(60)).await;
    walk.step().await;
    for node in cluster.primaries() {
        // So that nothing is lost: the replica has confirmed all.
        let slots = slots_of(node, node.port());
        let mut connection = node.connection();
        let mark = tag("mark", |slot| slots.contains(&slot));
        connection.command(&["SET", &mark, ""]).unwrap();
        assert_eq!(connection.command(&["WAIT", "1", "5000"]).unwrap().int(), 1);
    }
    cluster.primary_of(&format!("{{{}}}", order.moving)).kill();
    cluster.wait_until_ok();
    assert_eq!(walk.finish().await, order.keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_over_a_server_that_restarts_on_the_way_gives_every_session() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = open(server.url(), &path()).await;
        let keys: BTreeSet<String> = (0..300).map(|number| format!("key{number}")).collect();
        for key in &keys {
            let key = SessionKey::new(key).unwrap();
            store.insert(&id(&key, "there"), &record("x")).await.unwrap();
        }
        let mut walk = Walk::new(&store);
        walk.until("key", 150).await;
        assert!(server.command(&["SAVE"]).is_ok());
        server.restart();
        assert_eq!(walk.finish().await, keys);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_over_an_empty_cluster_ends() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    assert_eq!(Walk::new(&store).finish().await, BTreeSet::new());
    assert!(store.list(&tagged("nobody", "")).await.unwrap().is_empty());
}
