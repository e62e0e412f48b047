//! What is left on a server without field expiry, seen from the server.
#![expect(clippy::expect_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{after, id, key, now, pass, payload, record};
use jam_core::{Load, Renewal, SessionStore, Timestamp};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};

async fn old() -> (Server, RedisStore) {
    let server = Server::start(Kind::Old);
    let store = RedisStore::open(server.url()).await.expect("the server answers");
    (server, store)
}

fn time_left(server: &Server) -> i64 {
    server.command(&["PTTL", "sessions:user1"]).int()
}

#[tokio::test]
async fn a_session_is_gone_at_its_expiry_and_its_hash_with_it_without_any_sweeper() {
    let (server, store) = old().await;
    let soon = record("{}", Some(400));
    store.insert(&id("user1", "one"), &soon).await.expect("insert");
    let expires_at = soon.expires_at.expect("an expiry");
    assert!(payload(&store, &id("user1", "one")).await.is_some());
    pass(expires_at).await;
    assert_eq!(payload(&store, &id("user1", "one")).await, None);
    assert!(store.list(&key("user1")).await.expect("list").is_empty());
    pass(expires_at.plus(Duration::from_millis(1_100))).await;
    assert_eq!(
        server.command(&["DBSIZE"]).int(),
        0,
        "the server reclaimed it by itself"
    );
}

#[tokio::test]
async fn the_hash_lives_as_long_as_its_longest_session_and_no_longer() {
    let (server, store) = old().await;
    store
        .insert(&id("user1", "short"), &record("{}", Some(10_000)))
        .await
        .expect("insert");
    store
        .insert(&id("user1", "long"), &record("{}", Some(60_000)))
        .await
        .expect("insert");
    store
        .insert(&id("user1", "short2"), &record("{}", Some(20_000)))
        .await
        .expect("insert");
    assert!((59_000..=61_500).contains(&time_left(&server)));
    store
        .touch(&id("user1", "short"), after(Duration::from_secs(90)))
        .await
        .expect("touch");
    assert!((89_000..=91_500).contains(&time_left(&server)));
    let renewal = Renewal::new(after(Duration::from_mins(2)), after(Duration::from_mins(1)));
    store
        .load(&id("user1", "short2"), Load::new().renew(renewal))
        .await
        .expect("load");
    assert!((119_000..=121_500).contains(&time_left(&server)));
}

#[tokio::test]
async fn a_hash_with_a_lasting_session_gets_an_expiry_again_when_that_session_goes() {
    for ending in ["removed", "replaced", "renamed"] {
        let (server, store) = old().await;
        let lasting = id("user1", "lasting");
        store
            .insert(&id("user1", "dated"), &record("{}", Some(30_000)))
            .await
            .expect("insert");
        store.insert(&lasting, &record("{}", None)).await.expect("insert");
        assert_eq!(time_left(&server), -1);
        match ending {
            "removed" => assert!(store.remove(&lasting).await.expect("remove")),
            "replaced" => store
                .replace(&lasting, None, &record("{}", Some(20_000)))
                .await
                .expect("replace"),
            _ => {
                let version = store
                    .load(&lasting, Load::new())
                    .await
                    .expect("load")
                    .expect("live")
                    .version;
                let (to, over) = (id("user1", "to"), record("{}", Some(20_000)));
                let rename = jam_core::Rename::new(&lasting, &version, &to, &over);
                store.rename(rename).await.expect("rename");
            }
        }
        assert!((29_000..=31_500).contains(&time_left(&server)), "{ending}");
    }
}

#[tokio::test]
async fn expired_sessions_beside_living_ones_go_with_the_writes_and_with_a_sweep() {
    let (server, store) = old().await;
    store
        .insert(&id("user1", "lasting"), &record("{}", None))
        .await
        .expect("insert");
    for n in 0..40 {
        let over = record("{}", Some(1));
        store
            .insert(&id("user1", &format!("over{n}")), &over)
            .await
            .expect("insert");
    }
    pass(now()).await;
    let before = server.command(&["HLEN", "sessions:user1"]).int();
    // One write in eight looks for what has expired, by chance: of so many some do.
    for n in 0..400 {
        store
            .insert(&id("user1", &format!("new{n}")), &record("{}", None))
            .await
            .expect("insert");
    }
    let after_writes = server.command(&["HLEN", "sessions:user1"]).int() - 401;
    assert!(
        after_writes < before - 1,
        "writes reclaim some: {before} before, {after_writes} left"
    );
    let removed = store.remove_expired(now()).await.expect("sweep");
    assert_eq!(i64::try_from(removed).expect("a count"), after_writes);
    assert_eq!(server.command(&["HLEN", "sessions:user1"]).int(), 401);
}

/// The server's clock counts, to the millisecond, whatever this process believes.
#[tokio::test]
async fn a_session_that_is_about_to_expire_is_judged_by_the_server() {
    let (_server, store) = old().await;
    let one = id("user1", "one");
    let over = record("{}", Some(100));
    store.insert(&one, &over).await.expect("insert");
    let expires_at = over.expires_at.expect("an expiry");
    loop {
        let found = payload(&store, &one).await.is_some();
        let asked = now();
        if asked > expires_at.plus(Duration::from_millis(5)) {
            assert!(payload(&store, &one).await.is_none());
            break;
        }
        assert!(found || asked >= expires_at.minus(Duration::from_millis(5)));
    }
    assert!(store.load(&one, Load::new()).await.expect("load").is_none());
}

#[tokio::test]
async fn an_expiry_in_the_past_is_no_expiry_never() {
    let (server, store) = old().await;
    let mut past = record("{}", None);
    past.expires_at = Some(Timestamp::ZERO);
    store.insert(&id("user1", "past"), &past).await.expect("insert");
    assert_eq!(payload(&store, &id("user1", "past")).await, None);
    assert_ne!(time_left(&server), -1, "the hash must not stay for ever");
}

#[tokio::test]
async fn a_write_to_one_of_many_lasting_sessions_does_not_read_them_all() {
    let (server, store) = old().await;
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.expect("insert");
    let mut monitor = server.monitor();
    store
        .replace(&one, None, &record("{\"n\":1}", None))
        .await
        .expect("replace");
    let lines = monitor.lines_until_quiet();
    assert!(lines.iter().any(|line| line.name() == "HSET"));
    assert!(lines.iter().all(|line| line.name() != "HVALS"));
}
