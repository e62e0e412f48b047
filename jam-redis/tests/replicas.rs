//! `wait_replicas`: what ends a session, or gives it another id, is acknowledged when replicas have it too.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_core::{Data, Error, ErrorKind, Load as How, Rename, Result, SessionStore, Sessions};
use jam_redis::{RedisOptions, RedisStore};
use jam_test_servers::{Cluster, Kind, Server, ServerOptions, slot_of};
use support::{IN_TIME, TIMEOUT, cluster_url, id, options, path, record, slots_of, tag, tagged};

const WITHIN: Duration = Duration::from_millis(500);

/// A primary and its replica.
struct Pair {
    primary: Server,
    replica: Server,
}

impl Pair {
    fn start() -> Self {
        Self::of(Kind::New)
    }

    fn of(kind: Kind) -> Self {
        Self::start_with(Server::options(kind), kind)
    }

    fn start_with(options: ServerOptions, replica: Kind) -> Self {
        let primary = options.arg("repl-diskless-sync-delay", "0").start();
        let follow = format!("127.0.0.1 {}", primary.port());
        let replica = Server::options(replica).arg("replicaof", &follow).start();
        let pair = Self { primary, replica };
        pair.wait_until_confirmed();
        pair
    }

    /// Waits until the replica follows, and says promptly that it has what was written: what was written before it
    /// followed came with the copy, and shows nothing.
    fn wait_until_confirmed(&self) {
        let start = Instant::now();
        while !self.follows() || !self.is_confirmed() || !self.is_confirmed() {
            assert!(start.elapsed() < Duration::from_secs(30), "the replica does not follow");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn follows(&self) -> bool {
        let role = self.replica.try_command(&["ROLE"]);
        role.is_ok_and(|role| role.array()[3].text() == "connected")
    }

    fn is_confirmed(&self) -> bool {
        let mut connection = self.primary.connection();
        connection.command(&["SET", "mark", ""]).unwrap();
        connection.command(&["WAIT", "1", "200"]).unwrap().int() == 1
    }

    async fn open(&self, replicas: u32) -> Arc<RedisStore> {
        let options = options(self.primary.url(), &path()).wait_replicas(replicas, WITHIN);
        Arc::new(options.open().await.unwrap())
    }
}

/// Somebody else takes up all the places the server has: the connection that is open goes on.
#[tokio::test]
async fn a_connection_that_cannot_be_opened_for_the_wait_costs_no_other_one() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    let a = id(&tagged("full", ""), "a");
    store.insert(&a, &record("x")).await.unwrap();
    pair.primary.command(&["CONFIG", "SET", "maxclients", "1"]);
    for _ in 0..3 {
        let ended = store.remove(&a).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(store.load(&a, How::new()).await.unwrap().is_some());
    }
}

/// The ends and the rework of a session, each on one of its own.
async fn ends(store: &RedisStore, name: &str) -> Vec<(&'static str, Result<()>)> {
    let key = tagged(name, "");
    let at = |text: &str| id(&key, text);
    for text in ["removed", "renamed"] {
        store.insert(&at(text), &record("x")).await.unwrap();
    }
    let version = store.load(&at("renamed"), How::new()).await.unwrap().unwrap().version;
    let (from, to, moved) = (at("renamed"), at("new"), record("x"));
    vec![
        ("remove", store.remove(&at("removed")).await.map(drop)),
        ("rename", store.rename(Rename::new(&from, &version, &to, &moved)).await),
        ("clear", store.clear(&key).await.map(drop)),
    ]
}

fn assert_unconfirmed(what: &str, error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
    assert!(error.outcome_unknown(), "{what}: {error}");
}

/// Who is not told of the new id loses the session with the grace, however long the replica is away.
#[tokio::test]
async fn a_routine_rotation_gives_the_new_id_that_no_replica_confirmed() {
    let pair = Pair::start();
    let sessions = Sessions::builder(pair.open(1).await).grace(Duration::from_mins(1));
    let sessions = sessions.build().unwrap();
    let first = sessions.create("user1", Data::new()).await.unwrap();
    pair.replica.kill();

    let second = sessions.rework_with_grace(&first).await.unwrap();
    let found = sessions.get(&second).await.unwrap().expect("under its new id");
    assert!(!found.through_grace());
    let third = sessions.rework_loaded_with_grace(&found).await.unwrap();
    let third = third.expect("nobody else rotated it");
    assert!(
        sessions
            .get(&third)
            .await
            .unwrap()
            .is_some_and(|found| !found.through_grace())
    );
    // A new id that must be final is not promised.
    assert_unconfirmed("rework", &sessions.rework(&third).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_ends_a_session_is_acknowledged_when_the_replica_has_it_and_not_before() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    for (what, result) in ends(&store, "confirmed").await {
        assert!(result.is_ok(), "{what}: {result:?}");
    }
    pair.replica.pause();
    let start = Instant::now();
    for (what, result) in ends(&store, "paused").await {
        assert_unconfirmed(what, &result.unwrap_err());
    }
    let each = start.elapsed() / 3;
    assert!(each >= WITHIN && each < WITHIN + TIMEOUT, "{each:?}");
    // Done all the same, as the error says that it may be.
    assert!(store.list(&tagged("paused", "")).await.unwrap().is_empty());
    pair.replica.resume();
    pair.wait_until_confirmed();
    for (what, result) in ends(&store, "resumed").await {
        assert!(result.is_ok(), "{what}: {result:?}");
    }
    pair.replica.kill();
    for (what, result) in ends(&store, "killed").await {
        assert_unconfirmed(what, &result.unwrap_err());
    }
    // Two of one.
    let store = pair.open(2).await;
    pair.replica.restart();
    for (what, result) in ends(&store, "too few").await {
        assert_unconfirmed(what, &result.unwrap_err());
    }
}

/// Who tries again over another connection, or in another process, is not told that a session has ended before the replica
/// has that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn that_there_is_nothing_to_end_is_acknowledged_when_the_replica_knows_it_too_and_not_before() {
    for kind in [Kind::Old, Kind::New] {
        let pair = Pair::of(kind);
        let path = path();
        let open = async || {
            let options = options(pair.primary.url(), &path).wait_replicas(1, WITHIN);
            options.open().await.unwrap()
        };
        let (one, two) = (open().await, open().await);
        let manager = Sessions::new(open().await);
        let user = tagged("revoked", "");
        let mine = manager.create(&user, Data::new()).await.unwrap();
        manager.create(&user, Data::new()).await.unwrap();
        let listed = manager.list(&user).await.unwrap();
        let key = tagged("renamed", "");
        let (removed, from, to) = (id(&tagged("removed", ""), "a"), id(&key, "from"), id(&key, "to"));
        let (cleared, moved) = (tagged("cleared", ""), record("moved"));
        for id in [&removed, &from, &id(&cleared, "a")] {
            one.insert(id, &record("x")).await.unwrap();
        }
        let version = one.load(&from, How::new()).await.unwrap().unwrap().version;
        let rename = || Rename::new(&from, &version, &to, &moved);
        // This one has a connection that waited for older writes.
        assert!(!two.remove(&id(&key, "none")).await.unwrap());
        pair.replica.pause();
        for store in [&one, &two] {
            assert_unconfirmed("remove", &store.remove(&removed).await.unwrap_err());
            assert_unconfirmed("clear", &store.clear(&cleared).await.unwrap_err());
            assert_unconfirmed("rename", &store.rename(rename()).await.unwrap_err());
        }
        assert_unconfirmed("remove", &open().await.remove(&removed).await.unwrap_err());
        for manager in [&manager, &Sessions::new(open().await)] {
            let others = manager.clear_others(&mine).await.unwrap_err();
            assert_unconfirmed("clear_others", &others);
        }
        for manager in [&manager, &Sessions::new(open().await)] {
            for session in &listed {
                let revoked = manager.revoke(&user, session.handle()).await.unwrap_err();
                assert_unconfirmed("revoke", &revoked);
            }
        }
        pair.replica.resume();
        pair.wait_until_confirmed();
        for store in [&one, &two] {
            assert!(!store.remove(&removed).await.unwrap(), "{kind:?}");
            assert_eq!(store.clear(&cleared).await.unwrap(), 0, "{kind:?}");
            let gone = store.rename(rename()).await.unwrap_err();
            assert_eq!(gone.kind(), ErrorKind::NotFound, "{kind:?}: {gone}");
        }
    }
}

/// What makes the replica say so is a write, of which nothing may be left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn to_have_confirmed_that_there_is_nothing_to_end_changes_nothing_and_takes_no_memory() {
    for kind in [Kind::Old, Kind::New] {
        let path = path();
        // The rights that the README asks for.
        let few =
            format!("on >pw ~{path}:* +@hash +@scripting +@connection +time +pttl +pexpireat +persist +unlink +wait");
        let pair = Pair::start_with(Server::options(kind).acl_user("few", &few), kind);
        let url = format!("redis://few:pw@{}", pair.primary.address());
        let store = options(url, &path).wait_replicas(1, WITHIN).open().await.unwrap();
        let (none, stays) = (id(&tagged("none", ""), "a"), id(&tagged("some", ""), "stays"));
        store.insert(&stays, &record("x")).await.unwrap();
        let hash = format!("{path}:{{some}}");
        let fields = || pair.primary.command(&["HGETALL", &hash]);
        let expiry = || match kind {
            Kind::Old => pair.primary.command(&["PEXPIRETIME", &hash]).int(),
            Kind::New => pair
                .primary
                .command(&["HPEXPIRETIME", &hash, "FIELDS", "1", "stays"])
                .array()[0]
                .int(),
        };
        let before = (fields(), expiry());
        assert!(before.1 > 0, "{kind:?}");
        let full = pair.primary.command(&["CONFIG", "SET", "maxmemory", "1"]);
        assert!(full.is_ok());
        assert!(!store.remove(&none).await.unwrap(), "{kind:?}");
        assert_eq!(store.clear(none.key()).await.unwrap(), 0, "{kind:?}");
        assert!(!store.remove(&id(stays.key(), "none")).await.unwrap(), "{kind:?}");
        assert_eq!((fields(), expiry()), before, "{kind:?}");
        assert_eq!(
            pair.primary.command(&["KEYS", &format!("{path}:*")]).texts(),
            [hash.as_str()]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_server_refuses_to_have_confirmed_is_not_acknowledged() {
    for kind in [Kind::Old, Kind::New] {
        let options = Server::options(kind).acl_user("few", "on >pw ~* +@all -hset");
        let pair = Pair::start_with(options, kind);
        let url = format!("redis://few:pw@{}", pair.primary.address());
        let options = RedisOptions::new(url).wait_replicas(1, WITHIN);
        let store = options.open().await.unwrap();
        let error = store.clear(&tagged("none", "")).await.unwrap_err();
        assert!(error.outcome_unknown(), "{kind:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_calls_are_not_held_up_behind_the_waiting_ones() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    let one = id(&tagged("one", ""), "there");
    store.insert(&one, &record("x")).await.unwrap();
    for number in 0..32 {
        let key = tagged(&format!("user{number}"), "");
        store.insert(&id(&key, "there"), &record("x")).await.unwrap();
    }
    pair.replica.pause();
    let revoking: Vec<_> = (0..32)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = tagged(&format!("user{number}"), "");
                store.clear(&key).await
            })
        })
        .collect();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < WITHIN {
        let start = Instant::now();
        assert!(store.load(&one, How::new()).await.unwrap().is_some());
        store.replace(&one, None, &record("y")).await.unwrap();
        slowest = slowest.max(start.elapsed());
    }
    for task in revoking {
        assert_unconfirmed("clear", &task.await.unwrap().unwrap_err());
    }
    assert!(slowest < WITHIN / 2, "a read and a save took {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_waiting_call_that_is_dropped_leaves_its_reply_to_nobody() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    let mut done = 0;
    for number in 0..300_u64 {
        let key = tagged("same", &number.to_string());
        let there = id(&key, "there");
        store.insert(&there, &record("x")).await.unwrap();
        if number % 25 == 0 {
            pair.replica.pause();
        }
        // Dropped at some point on its way; the more so while the replica sleeps.
        let patience = Duration::from_micros(number * 7 % 300);
        let dropped = tokio::time::timeout(patience, store.remove(&there)).await;
        if number % 25 == 0 {
            pair.replica.resume();
            pair.wait_until_confirmed();
        }
        done += u32::from(dropped.is_ok());
        // Another kind of reply than a removal's: a clear counts two.
        for text in ["a", "b"] {
            store.insert(&id(&key, text), &record("x")).await.unwrap();
        }
        let left = store.list(&key).await.unwrap().len() as u64;
        let cleared = store.clear(&key).await.unwrap();
        assert!(cleared == 2 || cleared == left, "{cleared} of {left} were cleared");
        assert!(!store.remove(&there).await.unwrap(), "a reply of another call");
    }
    println!("{done} of 300 came to their end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_dies_while_a_call_waits_is_an_unknown_outcome_in_time() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    let key = tagged("one", "");
    store.insert(&id(&key, "there"), &record("x")).await.unwrap();
    store.clear(&tagged("other", "")).await.unwrap();
    pair.replica.pause();
    let waiting = {
        let (store, key) = (Arc::clone(&store), key.clone());
        tokio::spawn(async move { store.clear(&key).await })
    };
    tokio::time::sleep(WITHIN / 4).await;
    pair.primary.kill();
    assert_unconfirmed("clear", &waiting.await.unwrap().unwrap_err());
    let error = store.clear(&key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Nothing but revocations is called, and it comes back all the same.
    pair.primary.restart();
    pair.replica.resume();
    let start = Instant::now();
    while let Err(error) = store.clear(&key).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(110)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_cluster_the_primary_of_the_slot_waits_and_only_for_its_own_replica() {
    let cluster = Cluster::start(Kind::New);
    let path = path();
    let open = async || {
        let options = options(cluster_url(cluster.nodes()), &path).wait_replicas(1, WITHIN);
        options.open().await.unwrap()
    };
    let store = open().await;
    let tags: Vec<_> = cluster
        .primaries()
        .iter()
        .map(|node| {
            let slots = slots_of(node, node.port());
            tag("on", |slot| slots.contains(&slot))
        })
        .collect();
    for tag in &tags {
        for (what, result) in ends(&store, tag).await {
            assert!(result.is_ok(), "{what}: {result:?}");
        }
    }
    let paused = cluster.replica_of(&tags[0]);
    paused.pause();
    for (what, result) in ends(&store, &tags[0]).await {
        assert_unconfirmed(what, &result.unwrap_err());
    }
    for (what, result) in ends(&store, &tags[1]).await {
        assert!(result.is_ok(), "{what}: {result:?}");
    }
    // They have ended, which the replica of the first does not know.
    let other = open().await;
    let again = async |tag: &str| other.remove(&id(&tagged(tag, ""), "removed")).await;
    assert_unconfirmed("again", &again(&tags[0]).await.unwrap_err());
    assert!(!again(&tags[1]).await.unwrap());
    // A login across slots: the new session must be on a replica before the old one goes.
    let (from, to) = (
        id(&tagged(&tags[1], "login"), "old"),
        id(&tagged(&tags[0], "login"), "new"),
    );
    store.insert(&from, &record("x")).await.unwrap();
    let version = store.load(&from, How::new()).await.unwrap().unwrap().version;
    let moved = record("moved");
    let error = store
        .rename(Rename::new(&from, &version, &to, &moved))
        .await
        .unwrap_err();
    assert_unconfirmed("login", &error);
    assert!(
        store.load(&from, How::new()).await.unwrap().is_some(),
        "the old session stays while the new one may be lost"
    );
    paused.resume();
    cluster.wait_until_ok();
    // A slot on the move: that there is nothing is for the node to say that it goes to.
    let migration = cluster.begin_migrating(slot_of(&tags[1]), cluster.primary_of(&tags[0]));
    assert!(!again(&tags[1]).await.unwrap());
    migration.finish();
    // The primary goes while only revocations are called: the next one of the slot waits then.
    let tag = &tags[2];
    let path_of = tagged(tag, "");
    cluster.kill_primary(tag).restart();
    cluster.wait_until_ok();
    let start = Instant::now();
    while let Err(error) = store.clear(&path_of).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(110)).await;
    }
    assert!(start.elapsed() < IN_TIME + TIMEOUT, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_waiting_call_sees_for_itself_that_the_server_is_a_newer_one() {
    let old = [
        "HSETEX",
        "HGETEX",
        "HGETDEL",
        "HPEXPIRE",
        "HPEXPIREAT",
        "HPEXPIRETIME",
        "HPTTL",
    ];
    let pair = Pair::start_with(Server::options(Kind::New).hide(&old), Kind::New);
    let path = path();
    let options = options(pair.primary.url(), &path).wait_replicas(1, WITHIN);
    let store = options.open().await.unwrap();
    assert!(!store.has_field_expiry().await.unwrap());
    let key = tagged("one", "");
    let (from, to, moved) = (id(&key, "old"), id(&key, "new"), record("moved"));
    store.insert(&from, &record("x")).await.unwrap();
    let version = store.load(&from, How::new()).await.unwrap().unwrap().version;
    assert!(pair.primary.command(&["SAVE"]).is_ok());
    pair.primary.kill();
    let file = pair.primary.dir().join("server.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let known: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("rename-command"))
        .collect();
    std::fs::write(&file, known.join("\n")).unwrap();
    pair.primary.restart();
    pair.wait_until_confirmed();
    // Nobody has used the shared connection, so nobody knows that it is lost.
    store.rename(Rename::new(&from, &version, &to, &moved)).await.unwrap();
    let hash = format!("{path}:{{one}}");
    let expiry = pair.primary.command(&["HPTTL", &hash, "FIELDS", "1", "new"]);
    assert!(
        expiry.array()[0].int() > 0,
        "the field has an expiry of its own: {expiry:?}"
    );
    assert_eq!(pair.primary.command(&["PTTL", &hash]).int(), -1, "the hash has none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_of_the_application_cannot_wait() {
    let server = Server::start(Kind::New);
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let options = RedisOptions::from_connection(connection).wait_replicas(1, WITHIN);
    let error = options.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// The server stops waiting, and says so, when it becomes a replica itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_demoted_during_the_wait_is_away() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    let a = id(&tagged("demoted", ""), "a");
    store.insert(&a, &record("x")).await.unwrap();
    pair.replica.pause();
    let removing = {
        let (store, a) = (Arc::clone(&store), a.clone());
        tokio::spawn(async move { store.remove(&a).await })
    };
    while !pair
        .primary
        .command(&["INFO", "clients"])
        .text()
        .contains("blocked_clients:1")
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let elsewhere = pair.replica.port().to_string();
    pair.primary.command(&["REPLICAOF", "127.0.0.1", &elsewhere]);
    assert_unconfirmed("remove", &removing.await.unwrap().unwrap_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_wait_for_replicas_take_up_so_many_connections_and_no_more() {
    let pair = Pair::start();
    let store = pair.open(1).await;
    pair.replica.pause();
    let key = tagged("many", "");
    for number in 0..150 {
        store
            .insert(&id(&key, &number.to_string()), &record("x"))
            .await
            .unwrap();
    }
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..150 {
        let (store, key) = (Arc::clone(&store), key.clone());
        calls.spawn(async move { store.remove(&id(&key, &number.to_string())).await });
    }
    let mut most = 0;
    while !calls.is_empty() {
        let clients = pair.primary.command(&["INFO", "clients"]);
        let connected = clients
            .text()
            .lines()
            .find_map(|line| line.strip_prefix("connected_clients:"));
        most = most.max(connected.unwrap().parse::<u32>().unwrap());
        while let Some(removed) = calls.try_join_next() {
            let error = removed.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let nothing_sent = ["too many calls wait", "no connection"];
            let nothing_sent = nothing_sent.iter().any(|part| error.message().contains(part));
            assert_eq!(!error.outcome_unknown(), nothing_sent, "{error}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!((2..=80).contains(&most), "{most}");
}
