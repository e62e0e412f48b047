//! What reaches the server for each operation, as `MONITOR` shows it.

mod common;

use common::{id, record};
use jam_core::{SessionStore, Sessions};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Reply, Server};
use serde_json::json;

#[tokio::test]
async fn each_operation_is_one_command_on_a_new_server_and_rework_two() {
    let server = Server::start(Kind::New);
    let hello = server.command(&["HELLO"]);
    let removal = if hello.array()[1].text() == "valkey" {
        "HDEL"
    } else {
        "HGETDEL"
    };
    let sessions = Sessions::new(RedisStore::open(server.url()).await.expect("the server answers"));
    let mut monitor = server.monitor();

    let id = sessions
        .create("user1", json!({"role": "admin"}))
        .await
        .expect("create");
    assert_eq!(
        monitor.client_commands().len(),
        1,
        "create, the first time for this user"
    );
    sessions.create("user1", json!({})).await.expect("create");
    assert_eq!(monitor.client_commands(), ["HSETEX"], "create");
    assert!(sessions.get(&id).await.expect("get").is_some());
    assert_eq!(monitor.client_commands(), ["HGET"], "get");
    sessions.update(&id, json!({"role": "user"})).await.expect("update");
    assert_eq!(monitor.client_commands(), ["HSETEX"], "update");
    let new = sessions.rework(&id).await.expect("rework");
    assert_eq!(monitor.client_commands(), ["HGET", "EVALSHA"], "rework");
    assert!(sessions.get(&id).await.expect("get").is_none());
    assert_eq!(monitor.client_commands(), ["HGET"], "get of an id that ended");
    assert!(sessions.delete(&new).await.expect("delete"));
    assert_eq!(monitor.client_commands(), [removal], "delete");
    assert!(!sessions.delete(&new).await.expect("delete"));
    assert_eq!(monitor.client_commands(), [removal], "delete of an id that ended");
    assert_eq!(sessions.clear("user1").await.expect("clear"), 1);
    assert_eq!(monitor.client_commands(), ["EVALSHA"], "clear");
    sessions.list("user1").await.expect("list");
    assert_eq!(monitor.client_commands(), ["EVALSHA"], "list");
}

/// An expired field is there until the server gets round to it, and of no concern to anybody: whichever way it is asked for.
#[tokio::test]
async fn nothing_is_deleted_that_has_expired_and_is_not_reclaimed_yet() {
    for hidden in [&[][..], &["HELLO"], &["HGETDEL"]] {
        let options = Server::options(Kind::New).arg("enable-debug-command", "yes");
        let server = options.hide(hidden).start();
        let reply = server.command(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        assert!(reply.is_ok(), "{reply:?}");
        let store = RedisStore::open(server.url()).await.expect("the server answers");
        let (one, other, last) = (id("user1", "one"), id("user1", "other"), id("user1", "last"));
        store
            .insert(&id("user1", "long"), &record("{}", None))
            .await
            .expect("insert");
        for id in [&one, &other, &last] {
            store.insert(id, &record("{}", None)).await.expect("insert");
            let soon = ["HPEXPIRE", "sessions:user1", "1", "FIELDS", "1", id.id()];
            assert_eq!(server.command(&soon).array()[0].int(), 1);
        }
        while server.command(&["HGET", "sessions:user1", "last"]) != Reply::Nil {
            tokio::task::yield_now().await;
        }
        assert!(server.command(&["HLEN", "sessions:user1"]).int() >= 3, "not reclaimed");
        assert!(!store.remove(&one).await.expect("remove"), "{hidden:?}");
        // Another store knows nothing of this hash, and asks otherwise.
        let stranger = RedisStore::open(server.url()).await.expect("the server answers");
        assert!(!stranger.remove(&other).await.expect("remove"), "{hidden:?}");
        assert!(store.remove(&id("user1", "long")).await.expect("remove"), "{hidden:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_it_is_valkey_deletes_as_redis_does() {
    let server = Server::options(Kind::New).hide(&["HELLO"]).start();
    let sessions = Sessions::new(RedisStore::open(server.url()).await.expect("the server answers"));
    let id = sessions.create("user1", json!({})).await.expect("create");
    let mut monitor = server.monitor();
    assert!(sessions.delete(&id).await.expect("delete"));
    assert!(!sessions.delete(&id).await.expect("delete"));
    assert_eq!(monitor.client_commands(), ["HGETDEL", "HGETDEL"]);
}

#[tokio::test]
async fn a_store_that_knows_nothing_of_the_server_yet_needs_no_more() {
    let server = Server::start(Kind::New);
    let open = async || Sessions::new(RedisStore::open(server.url()).await.expect("the server answers"));
    let first = open().await;
    let mut ids = Vec::new();
    for user in ["user1", "user2", "user3", "user4"] {
        ids.push(first.create(user, json!({})).await.expect("create"));
    }
    let second = open().await;
    let mut monitor = server.monitor();
    second.update(&ids[0], json!({"a": 1})).await.expect("update");
    assert_eq!(monitor.client_commands().len(), 1, "update");
    second.rework(&ids[1]).await.expect("rework");
    assert_eq!(monitor.client_commands().len(), 2, "rework");
    assert!(second.delete(&ids[2]).await.expect("delete"));
    assert_eq!(monitor.client_commands().len(), 1, "delete");
    assert_eq!(second.clear("user4").await.expect("clear"), 1);
    assert_eq!(monitor.client_commands().len(), 1, "clear");
}

#[tokio::test]
async fn a_read_that_renews_is_one_command_and_writes_only_when_it_is_due() {
    for kind in [Kind::New, Kind::Old] {
        let server = Server::start(kind);
        let store = RedisStore::open(server.url()).await.expect("the server answers");
        let sessions = Sessions::builder(store)
            .renew_on_read(true)
            .build()
            .expect("right settings");
        let id = sessions.create("user1", json!({})).await.expect("create");
        let mut monitor = server.monitor();
        assert!(sessions.get(&id).await.expect("get").is_some());
        let lines = monitor.lines_until_quiet();
        let from_client: Vec<_> = lines.iter().filter(|line| !line.in_script()).collect();
        assert_eq!(from_client.len(), 1);
        assert!(
            lines
                .iter()
                .all(|line| !line.name().contains("SET") && line.name() != "HPEXPIREAT")
        );
    }
}
