//! The first write to a hash that a process does not know yet reads all of it: one call does, the others wait for it.
#![expect(clippy::expect_used, reason = "a test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{id, payload, record};
use jam_core::{ErrorKind, Load, Renewal, SessionStore, Timestamp};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Monitor, Proxy, Server};
use tokio::task::JoinSet;

const CALLS: usize = 64;

/// Inserts that all begin before the first one is answered.
fn inserts(store: &Arc<RedisStore>) -> JoinSet<jam_core::Result<()>> {
    let mut inserts = JoinSet::new();
    for n in 0..CALLS {
        let store = Arc::clone(store);
        inserts.spawn(async move {
            store
                .insert(&id("user1", &format!("n{n}")), &record("{}", Some(60_000)))
                .await
        });
    }
    inserts
}

/// A store that does not let go because a machine is busy.
async fn patient(url: &str) -> Arc<RedisStore> {
    let options = RedisStore::options(url).response_timeout(Duration::from_secs(20));
    Arc::new(options.open().await.expect("the server answers"))
}

#[tokio::test]
async fn of_many_first_writes_at_once_one_looks_at_the_hash_and_the_rest_are_plain() {
    let server = Server::start(Kind::New);
    let store = patient(&server.url()).await;
    let mut monitor = server.monitor();
    let began = Instant::now();
    for inserted in inserts(&store).join_all().await {
        inserted.expect("insert");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let mut names = monitor.client_commands();
    names.sort();
    let looks = names.iter().filter(|name| *name != "HSETEX").count();
    assert_eq!((looks, names.len()), (1, CALLS), "{names:?}");
}

#[tokio::test]
async fn first_writes_of_many_users_do_not_wait_for_each_other() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = patient(&proxy.url()).await;
    let far = Duration::from_millis(100);
    proxy.delay(far..=far);
    let began = Instant::now();
    let mut inserts = JoinSet::new();
    for n in 0..CALLS {
        let store = Arc::clone(&store);
        let one = id(&format!("user{n}"), "one");
        inserts.spawn(async move { store.insert(&one, &record("{}", Some(60_000))).await });
    }
    for inserted in inserts.join_all().await {
        inserted.expect("insert");
    }
    // One behind the other they would take 6 s and more.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_look_whose_caller_goes_away_holds_nobody_up() {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let store = Arc::new(RedisStore::open(proxy.url()).await.expect("the server answers"));
    let far = Duration::from_millis(50);
    proxy.delay(far..=far);
    let mut first = inserts(&store);
    tokio::task::yield_now().await;
    first.abort_all();
    while first.join_next().await.is_some() {}
    let began = Instant::now();
    for n in 0..3 {
        let late = id("user1", &format!("late{n}"));
        store.insert(&late, &record("{}", Some(60_000))).await.expect("insert");
        assert_eq!(payload(&store, &late).await.as_deref(), Some("{}"));
    }
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn waiting_for_a_look_at_a_silent_server_ends_with_the_response_timeout_and_has_sent_nothing() {
    let timeout = Duration::from_millis(400);
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let options = RedisStore::options(proxy.url());
    let options = options.connect_timeout(timeout).response_timeout(timeout);
    let store = Arc::new(options.open().await.expect("the server answers"));
    proxy.black_hole();
    let began = Instant::now();
    let mut unknown = 0;
    for inserted in inserts(&store).join_all().await {
        let error = inserted.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        unknown += u32::from(error.outcome_unknown());
    }
    assert_eq!(unknown, 1, "only the first one was sent");
    // The look, the answer or a new connection after it, and what a busy machine adds: not one behind the other.
    assert!(began.elapsed() < timeout * 6, "{:?}", began.elapsed());
    proxy.heal();
    // For a moment after a failed attempt to connect, calls fail at once.
    let late = async {
        while store
            .insert(&id("user1", "late"), &record("{}", Some(60_000)))
            .await
            .is_err_and(|error| error.kind() == ErrorKind::Unavailable)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), late)
        .await
        .expect("it serves again");
    assert!(payload(&store, &id("user1", "late")).await.is_some());
}

#[tokio::test]
async fn waiting_for_looks_that_are_refused_ends_with_the_response_timeout() {
    let server = Server::start(Kind::New);
    // From an older server, and no memory to convert it.
    server.command(&[&b"HSET"[..], b"sessions:user1", b"old", b"\0@999999999999999{}"]);
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
    let proxy = Proxy::start(server.address());
    let options = RedisStore::options(proxy.url()).response_timeout(Duration::from_secs(1));
    let store = Arc::new(options.open().await.expect("the server answers"));
    let far = Duration::from_millis(100);
    proxy.delay(far..=far);
    let began = Instant::now();
    for inserted in inserts(&store).join_all().await {
        assert_eq!(inserted.expect_err("full").kind(), ErrorKind::Unavailable);
    }
    // One behind the other they would take 6 s and more.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_call_that_waits_for_replicas_keeps_nobody_from_looking() {
    let server = Server::start(Kind::New);
    let (ended, kept) = (id("user1", "ended"), id("user1", "kept"));
    let other = patient(&server.url()).await;
    for id in [&ended, &kept] {
        other.insert(id, &record("{}", Some(60_000))).await.expect("insert");
    }
    let long = Duration::from_mins(1);
    let options = RedisStore::options(server.url())
        .response_timeout(long)
        .wait_replicas(1, long);
    let store = Arc::new(options.open().await.expect("the server answers"));
    // There is no replica, so it waits for all of that time.
    let removing = tokio::spawn({
        let (store, ended) = (Arc::clone(&store), ended.clone());
        async move { store.remove(&ended).await }
    });
    while payload(&other, &ended).await.is_some() {
        assert!(!removing.is_finished());
        tokio::task::yield_now().await;
    }
    let listing = tokio::time::timeout(Duration::from_secs(20), store.list(kept.key()));
    let listed = listing
        .await
        .expect("it waits for the replicas as well")
        .expect("a listing");
    assert_eq!(listed.len(), 1);
    assert!(!removing.is_finished());
    removing.abort();
}

/// Of a user with many sessions that takes the server a while, in which it serves nobody else.
#[tokio::test]
async fn who_only_reads_and_who_waits_for_replicas_look_at_a_hash_once_too() {
    let server = Server::start(Kind::New);
    let replica = Server::options(Kind::New).arg("replicaof", &format!("127.0.0.1 {}", server.port()));
    let _replica = replica.start();
    let one = id("user1", "one");
    patient(&server.url())
        .await
        .insert(&one, &record("{}", Some(60_000)))
        .await
        .expect("insert");
    let looks = |monitor: &mut Monitor| {
        let lines = monitor.lines_until_quiet();
        lines
            .iter()
            .filter(|line| line.in_script() && line.name() == "HGETALL")
            .count()
    };

    let reader = patient(&server.url()).await;
    let mut monitor = server.monitor();
    let never_due = Renewal::new(Timestamp::from_secs(4_000_000_000), Timestamp::ZERO);
    for _ in 0..10 {
        let found = reader.load(&one, Load::new().renew(never_due)).await.expect("a load");
        assert!(found.is_some());
    }
    assert_eq!(looks(&mut monitor), 1);

    let lister = patient(&server.url()).await;
    for _ in 0..10 {
        assert_eq!(lister.list(one.key()).await.expect("a listing").len(), 1);
    }
    // Each reads all of it for the listing itself.
    assert_eq!(looks(&mut monitor), 1 + 10);

    let options = RedisStore::options(server.url()).wait_replicas(1, Duration::from_secs(20));
    let waiting = options.open().await.expect("the server answers");
    for _ in 0..10 {
        assert!(!waiting.remove(&id("user1", "gone")).await.expect("a remove"));
    }
    assert_eq!(looks(&mut monitor), 1);
}
