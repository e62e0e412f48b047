//! Servers that are there and take no writes.

use std::fs;

use jam_core::{Error, ErrorKind, Load, RecordId, Rename, Renewal, Result, SessionStore, Timestamp, Version};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server, ServerOptions};

use crate::load::{options, record};

fn id(key: &str, name: &str) -> RecordId {
    RecordId::new(key.parse().unwrap(), name).unwrap()
}

/// A store with sessions of two users on a server that is then made to refuse writes.
async fn refusing(server: &Server, refuse: impl FnOnce(&Server)) -> RedisStore {
    let store = options(&server.url()).open().await.unwrap();
    for key in ["user1", "user2"] {
        for name in ["one", "two", "three"] {
            store.insert(&id(key, name), &record(1)).await.unwrap();
        }
    }
    refuse(server);
    store
}

/// Somebody else takes up all the places there are: that passes, and is no mistake of the settings.
#[tokio::test]
async fn a_server_that_has_room_for_nobody_else_is_away() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let url = |database| format!("redis://127.0.0.1:{}/{database}", server.port());
        let store = options(&url(1)).open().await.unwrap();
        store.insert(&id("user1", "one"), &record(1)).await.unwrap();
        server.command(&["CONFIG", "SET", "maxclients", "1"]);
        for database in [0, 1] {
            let refused = options(&url(database)).open().await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable, "{database}");
        }
        assert!(store.load(&id("user1", "one"), Load::new()).await.unwrap().is_some());
    }
}

/// A password that was right is not called wrong: it was changed, and who keeps trying may get in again.
#[tokio::test]
async fn a_password_that_is_right_no_longer_is_an_outage() {
    let server = Server::options(Kind::New).requirepass("right").start();
    let url = format!("redis://:right@127.0.0.1:{}", server.port());
    let store = options(&url).open().await.unwrap();
    store.insert(&id("user1", "one"), &record(1)).await.unwrap();
    let mut admin = server.connection();
    admin.command(&["CONFIG", "SET", "requirepass", "other"]).unwrap();
    admin
        .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
        .unwrap();
    // It takes a moment until it connects anew, and after an attempt that failed until the next one.
    let answers = async |expected: fn(&Result<bool>) -> bool| {
        for _ in 0..200 {
            let answer = store
                .load(&id("user1", "one"), Load::new())
                .await
                .map(|found| found.is_some());
            if expected(&answer) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("not within four seconds");
    };
    answers(|answer| {
        let refused = answer.as_ref().err();
        refused.is_some_and(|error| error.kind() == ErrorKind::Unavailable && error.message().contains("any more"))
    })
    .await;
    admin.command(&["CONFIG", "SET", "requirepass", "right"]).unwrap();
    answers(|answer| matches!(answer, Ok(true))).await;
    let wrong = url.replace("right", "wrong");
    assert_eq!(options(&wrong).open().await.unwrap_err().kind(), ErrorKind::Config);
}

/// Each write that adds or changes something.
async fn writes(store: &RedisStore) -> Vec<Error> {
    let (one, version) = (id("user1", "one"), Version::from_content("1"));
    let next = record(2);
    let results: [Result<()>; 5] = [
        store.insert(&id("user1", "four"), &next).await,
        store.insert(&id("user3", "one"), &next).await,
        store.replace(&one, None, &next).await,
        store.replace(&one, Some(&version), &next).await,
        store
            .rename(Rename::new(&one, &version, &id("user1", "five"), &next))
            .await,
    ];
    results.into_iter().map(Result::unwrap_err).collect()
}

/// Everything is as it was, and readable, with and without a renewal.
async fn reads_go_on(store: &RedisStore) {
    for name in ["one", "two", "three"] {
        let far = Timestamp::from_secs(9_500_000_000);
        let renewal = Load::new().renew(Renewal::new(far, far));
        for how in [Load::new(), renewal] {
            let loaded = store.load(&id("user1", name), how).await.unwrap();
            assert_eq!(loaded.expect("it is there").payload, "1");
        }
    }
    assert_eq!(store.list(&"user1".parse().unwrap()).await.unwrap().len(), 3);
    assert_eq!(store.scan(None, 100).await.unwrap().entries.len(), 6);
}

fn said(errors: &[Error], part: &str) {
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains(part), "{error}");
        assert!(!error.outcome_unknown(), "it was refused: {error}");
    }
}

/// Logging out works, since it needs no memory.
async fn logging_out_works(store: &RedisStore) {
    assert!(store.remove(&id("user1", "one")).await.unwrap());
    assert!(!store.remove(&id("user1", "one")).await.unwrap());
    assert_eq!(store.list(&"user1".parse().unwrap()).await.unwrap().len(), 2);
    assert_eq!(store.clear(&"user1".parse().unwrap()).await.unwrap(), 2);
    assert!(store.list(&"user1".parse().unwrap()).await.unwrap().is_empty());
    assert!(store.remove(&id("user2", "one")).await.unwrap());
}

async fn a_server_without_memory_left_lets_users_read_and_log_out(options: ServerOptions) {
    let server = options.arg("maxmemory-policy", "noeviction").start();
    let store = refusing(&server, |server| {
        assert!(server.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
    })
    .await;
    said(&writes(&store).await, "maxmemory");
    reads_go_on(&store).await;
    logging_out_works(&store).await;
    // A process that has just connected knows no hash yet.
    let fresh = super::load::options(&server.url()).open().await.unwrap();
    assert!(fresh.remove(&id("user2", "two")).await.unwrap());
    assert_eq!(fresh.clear(&"user2".parse().unwrap()).await.unwrap(), 1);
    assert!(server.command(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
    store.insert(&id("user1", "one"), &record(1)).await.unwrap();
}

#[tokio::test]
async fn an_old_server_without_memory_left_lets_users_read_and_log_out() {
    a_server_without_memory_left_lets_users_read_and_log_out(Server::options(Kind::Old)).await;
}

#[tokio::test]
async fn a_new_server_without_memory_left_lets_users_read_and_log_out() {
    a_server_without_memory_left_lets_users_read_and_log_out(Server::options(Kind::New)).await;
}

#[tokio::test]
async fn a_server_that_only_expires_fields_and_has_no_memory_left_lets_users_read_and_log_out() {
    let options = Server::options(Kind::New).hide(&["HSETEX", "HGETEX", "HGETDEL"]);
    a_server_without_memory_left_lets_users_read_and_log_out(options).await;
}

#[tokio::test]
async fn a_server_that_cannot_save_takes_no_writes_and_lets_users_read() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::options(kind).arg("save", "3600 100000").start();
        let store = refusing(&server, |server| {
            // A directory where the dump has to go: the save fails.
            fs::create_dir(server.dir().join("dump.rdb")).unwrap();
            server.command(&["BGSAVE"]);
            while !server
                .command(&["INFO", "persistence"])
                .text()
                .contains("bgsave_status:err")
            {
                std::thread::yield_now();
            }
        })
        .await;
        said(&writes(&store).await, "cannot save to its disk");
        reads_go_on(&store).await;
    }
}

#[tokio::test]
async fn a_server_with_too_few_replicas_takes_no_writes_and_lets_users_read() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = refusing(&server, |server| {
            assert!(server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).is_ok());
        })
        .await;
        said(&writes(&store).await, "min-replicas-to-write");
        reads_go_on(&store).await;
    }
}
