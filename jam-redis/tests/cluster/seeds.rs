//! How a cluster is found: seeds that are down or something else, and the names that nodes give each other.

use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Load as How, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Cluster, Kind, Proxy, Server, slot_of};

use crate::Stage;
use crate::support::{IN_TIME, cluster_url, id, open, options, path, record, slots_of, tag, tagged};

/// That sessions on every primary are within reach.
async fn assert_serves_all(store: &RedisStore, cluster: &Cluster) {
    for primary in cluster.primaries() {
        let slots = slots_of(primary, primary.port());
        let key = tagged(&tag("on", |slot| slots.contains(&slot)), "");
        let id = id(&key, "there");
        store.remove(&id).await.unwrap();
        store.insert(&id, &record("x")).await.unwrap();
        assert!(store.load(&id, How::new()).await.unwrap().is_some());
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let server = Server::start(Kind::New);
    server.address().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_seed_that_is_down_or_silent_does_no_harm_beside_one_that_is_well() {
    let cluster = Stage::set().await;
    let silent = Proxy::start(cluster.nodes()[0].address());
    silent.black_hole();
    // Another name than the others have, so that it is the last in any order.
    let well = format!("localhost:{}", cluster.nodes()[5].port());
    let url = format!("redis+cluster://{},{},{well}", nobody(), silent.address());
    let start = Instant::now();
    let store = open(url, &path()).await;
    assert!(start.elapsed() < IN_TIME, "opening took {:?}", start.elapsed());
    assert_serves_all(&store, &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_any_seed_the_store_is_unavailable_and_opens_lazily() {
    let cluster = Stage::set().await;
    let proxy = Proxy::start(cluster.nodes()[0].address());
    proxy.refuse();
    let url = format!("redis+cluster://{},{}", nobody(), proxy.address());
    let path = path();
    let error = options(&url, &path).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let store = options(&url, &path).connect_lazily(true).open().await.unwrap();
    let somebody = id(&tagged("somebody", ""), "there");
    for _ in 0..3 {
        let error = store.load(&somebody, How::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!error.outcome_unknown());
    }
    proxy.heal();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_serves_all(&store, &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_in_no_cluster_is_a_mistake_of_the_config() {
    let server = Server::start(Kind::New);
    let error = options(cluster_url([&server]), &path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("not in a cluster"), "{error}");
    // Also beside a seed that is down, whichever answers last.
    for url in [
        format!("redis+cluster://{},{}", server.address(), nobody()),
        format!("redis+cluster://{},{}", nobody(), server.address()),
    ] {
        let error = options(url, &path()).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_of_a_cluster_opened_as_a_single_server_is_a_mistake_of_the_config() {
    let cluster = Stage::set().await;
    for node in cluster.nodes() {
        let error = options(node.url(), &path()).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("redis+cluster://"), "{error}");
    }
    // Where nobody looked when the store was opened, the first call that is sent elsewhere says so.
    let node = cluster.primary_of("any");
    let store = options(node.url(), &path()).connect_lazily(true).open().await.unwrap();
    let slots = slots_of(node, node.port());
    let elsewhere = tagged(&tag("else", |slot| !slots.contains(&slot)), "");
    let error = store.load(&id(&elsewhere, "there"), How::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("redis+cluster://"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_time_to_connect_is_too_long() {
    let cluster = Stage::set().await;
    let store = RedisStore::options(cluster.url()).connect_timeout(Duration::MAX);
    assert_serves_all(&store.open().await.unwrap(), &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_opens_while_one_primary_is_down() {
    let cluster = Stage::set().await;
    let down = cluster.primary_of("any");
    let slots = slots_of(down, down.port());
    down.kill();
    let path = path();
    let store = open(cluster.url(), &path).await;
    let alive = tagged(&tag("alive", |slot| !slots.contains(&slot)), "");
    store.insert(&id(&alive, "there"), &record("x")).await.unwrap();
    cluster.wait_until_ok();
    tokio::time::sleep(Duration::from_millis(150)).await;
    // The first call that fails has the map read again.
    let dead = tagged(&tag("dead", |slot| slots.contains(&slot)), "");
    let _ = store.load(&id(&dead, "there"), How::new()).await;
    assert_serves_all(&store, &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_that_nobody_serves_are_unavailable_and_a_scan_does_not_pass_over_them() {
    let cluster = Stage::set().await;
    let path = path();
    let store = open(cluster.url(), &path).await;
    let full_coverage = |value| {
        for node in cluster.nodes() {
            assert!(
                node.command(&["CONFIG", "SET", "cluster-require-full-coverage", value])
                    .is_ok()
            );
        }
    };
    let owner = |tag: &str| cluster.primary_of(tag);
    let (first, second) = (owner("unserved"), owner("unserved too"));
    let give_up = |tag: &str, owner: &Server| {
        // The owner first, or it would go on telling the others that it is its.
        let others = cluster.nodes().iter().filter(|node| node.port() != owner.port());
        for node in std::iter::once(owner).chain(others) {
            node.command(&["CLUSTER", "DELSLOTS", &slot_of(tag).to_string()]);
        }
    };
    full_coverage("no");
    give_up("unserved", first);
    let unserved = id(&tagged("unserved", ""), "there");
    for _ in 0..3 {
        let error = store.insert(&unserved, &record("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!error.outcome_unknown());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let served = id(&tagged("served", ""), "there");
    store.insert(&served, &record("x")).await.unwrap();
    let error = store.scan(None, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // With full coverage demanded, the whole cluster calls itself down.
    full_coverage("yes");
    give_up("unserved too", second);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = store.load(&served, How::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = options(cluster.url(), &path).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    for (tag, owner) in [("unserved", first), ("unserved too", second)] {
        let slot = slot_of(tag).to_string();
        assert!(owner.command(&["CLUSTER", "ADDSLOTS", &slot]).is_ok());
    }
    cluster.wait_until_ok();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let _ = store.load(&unserved, How::new()).await;
    assert_serves_all(&store, &cluster).await;
    store.insert(&unserved, &record("x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_may_go_by_host_names_or_by_none_at_all() {
    let cluster = Stage::set().await;
    let configure = |name: &str, value: &str| {
        for node in cluster.nodes() {
            let reply = node.command(&["CONFIG", "SET", name, value]);
            assert!(reply.is_ok(), "{reply:?}");
        }
    };
    let settings = [
        ("hostname", ""),
        ("hostname", "localhost"),
        ("unknown-endpoint", ""),
        ("ip", ""),
    ];
    for (endpoint, hostname) in settings {
        configure("cluster-announce-hostname", hostname);
        configure("cluster-preferred-endpoint-type", endpoint);
        cluster.wait_until_ok();
        let store = open(cluster.url(), &path()).await;
        assert_serves_all(&store, &cluster).await;
        // And when a node sends the call on.
        let moving = tag("named", |_| true);
        let from = cluster.primary_of(&moving).port();
        let to = cluster.primaries().into_iter().find(|node| node.port() != from);
        let migration = cluster.begin_migrating(slot_of(&moving), to.expect("another primary"));
        let one = id(&tagged(&moving, "one"), "there");
        store.insert(&one, &record("asked")).await.unwrap();
        migration.finish();
        assert!(store.load(&one, How::new()).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_node_is_given_the_password_and_without_it_the_config_is_wrong() {
    let cluster = Cluster::start_with(Server::options(Kind::Old).requirepass("p@ss:word"));
    let host = cluster.nodes()[0].address();
    let store = open(format!("redis+cluster://:p%40ss%3Aword@{host}"), &path()).await;
    assert_serves_all(&store, &cluster).await;
    let wrong = format!("redis+cluster://:wrong@{host}");
    for url in [format!("redis+cluster://{host}"), wrong] {
        let error = options(url, &path()).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let store = options(format!("redis+cluster://{host}"), &path()).password("p@ss:word");
    assert_serves_all(&store.open().await.unwrap(), &cluster).await;
    let error = options(format!("redis+cluster://:p%40ss%3Aword@{host}/3"), &path());
    let error = error.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "a cluster has one database: {error}");
}

/// A host that died, or a firewall that has forgotten a connection, hangs up on nobody.
#[tokio::test]
async fn a_connection_that_leads_nowhere_since_it_was_idle_is_replaced_before_the_next_call() {
    let server = Server::options(Kind::New).arg("cluster-enabled", "yes").start();
    let proxy = Proxy::start(server.address());
    let port = proxy.address().port().to_string();
    for words in [
        &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"][..],
        &["CONFIG", "SET", "cluster-announce-port", &port],
    ] {
        let reply = server.command(words);
        assert!(reply.is_ok(), "{reply:?}");
    }
    let start = Instant::now();
    while !server.command(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok") {
        assert!(start.elapsed() < IN_TIME, "it serves nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let idle = Duration::from_millis(50);
    let options = options(format!("redis+cluster://{}", proxy.address()), &path()).idle_check(idle);
    let store = options.open().await.unwrap();
    let key = tagged("user1", "");
    for name in ["one", "two", "three"] {
        store.insert(&id(&key, name), &record("x")).await.unwrap();
        tokio::time::sleep(2 * idle).await;
        proxy.strand();
    }
    assert_eq!(store.list(&key).await.unwrap().len(), 3);
}
