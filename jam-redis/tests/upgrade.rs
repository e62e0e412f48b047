//! Sessions that were written to a server without field expiry, on a server that has it.
#![expect(clippy::expect_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{after, id, key, now, pass, payload, record};
use jam_core::{ErrorKind, Load, Renewal, SessionStore, Timestamp};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Reply, Server};

/// Moves what is on an old server to a new one, by a copied dump.
fn moved(old: &Server) -> Server {
    assert!(old.command(&["SAVE"]).is_ok());
    Server::options(Kind::New).dump(old.dir().join("dump.rdb")).start()
}

/// Waits until a replica has all that was written. `WAIT` does not tell: a replica that is still loading its first copy
/// counts for what was written before it came.
async fn has_all(replica: &Server, primary: &Server) {
    assert!(primary.command(&["SET", "last", "1"]).is_ok());
    let there = async {
        while replica.command(&["EXISTS", "last"]) != Reply::Int(1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), there)
        .await
        .expect("the replica catches up");
}

async fn store(server: &Server) -> RedisStore {
    RedisStore::open(server.url()).await.expect("the server answers")
}

/// When a field of a hash ends, by the server's word: -1 never, -2 there is none.
fn field_expiry(server: &Server, hash: &str, field: &str) -> i64 {
    server.command(&["HPEXPIRETIME", hash, "FIELDS", "1", field]).array()[0].int()
}

#[tokio::test]
async fn every_session_is_there_after_the_move_and_ends_when_it_would_have() {
    let old = Server::start(Kind::Old);
    let before = store(&old).await;
    let hour = after(Duration::from_hours(1));
    let mut dated = record("{\"n\":1}", None);
    dated.expires_at = Some(hour);
    before.insert(&id("user1", "dated"), &dated).await.expect("insert");
    before
        .insert(&id("user1", "lasting"), &record("{}", None))
        .await
        .expect("insert");
    before
        .insert(&id("user2", "bytes"), &record("\0@not a prefix", None))
        .await
        .expect("insert");
    let mut far = record("{\"far\":true}", None);
    far.expires_at = Some(Timestamp::MAX);
    before.insert(&id("user3", "far"), &far).await.expect("insert");

    let new = moved(&old);
    let after = store(&new).await;
    assert_eq!(
        payload(&after, &id("user1", "dated")).await.as_deref(),
        Some("{\"n\":1}")
    );
    assert_eq!(payload(&after, &id("user1", "lasting")).await.as_deref(), Some("{}"));
    assert_eq!(
        payload(&after, &id("user2", "bytes")).await.as_deref(),
        Some("\0@not a prefix")
    );
    let listed = after.list(&key("user3")).await.expect("list");
    assert_eq!(listed[0].expires_at, Some(Timestamp::MAX));
    assert_eq!(new.command(&["HGET", "sessions:user1", "dated"]).text(), "{\"n\":1}");
    let expiry = u64::try_from(field_expiry(&new, "sessions:user1", "dated")).expect("an expiry");
    assert_eq!(
        Timestamp::from_millis(expiry),
        hour,
        "the field ends when the session did"
    );
    assert_eq!(field_expiry(&new, "sessions:user1", "lasting"), -1);
    assert_eq!(
        new.command(&["PTTL", "sessions:user1"]).int(),
        -1,
        "the hash has no expiry of its own"
    );
}

#[tokio::test]
async fn a_later_session_outlives_the_expiry_its_hash_had() {
    let old = Server::start(Kind::Old);
    let before = store(&old).await;
    before
        .insert(&id("user1", "early"), &record("{}", Some(1_500)))
        .await
        .expect("insert");
    let left = old.command(&["PTTL", "sessions:user1"]).int();
    assert!(left > 0, "the emulated hash has an expiry");

    let new = moved(&old);
    let after_move = store(&new).await;
    // The very first call is the one that could be taken along.
    after_move
        .insert(&id("user1", "late"), &record("{\"late\":1}", Some(60_000)))
        .await
        .expect("insert");
    pass(now().plus(Duration::from_millis(u64::try_from(left).expect("a time") + 100))).await;
    assert_eq!(
        payload(&after_move, &id("user1", "late")).await.as_deref(),
        Some("{\"late\":1}")
    );
    assert_eq!(payload(&after_move, &id("user1", "early")).await, None);
}

#[tokio::test]
async fn what_had_expired_on_the_old_server_cannot_be_written_to_on_the_new_one() {
    let old = Server::start(Kind::Old);
    let before = store(&old).await;
    for name in ["replaced", "touched", "removed", "renamed", "read", "listed"] {
        before
            .insert(&id(name, "over"), &record("{}", Some(300)))
            .await
            .expect("insert");
        before
            .insert(&id(name, "other"), &record("{}", Some(60_000)))
            .await
            .expect("insert");
    }
    let renamed = before
        .load(&id("renamed", "over"), Load::new())
        .await
        .expect("load")
        .expect("live");
    let new = moved(&old);
    pass(after(Duration::from_millis(300))).await;
    assert_eq!(
        new.command(&["HEXISTS", "sessions:replaced", "over"]).int(),
        1,
        "it is still there, emulated"
    );

    let later = store(&new).await;
    let newer = record("{\"new\":1}", Some(60_000));
    let error = later
        .replace(&id("replaced", "over"), None, &newer)
        .await
        .expect_err("it is over");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        !later
            .touch(&id("touched", "over"), after(Duration::from_mins(1)))
            .await
            .expect("touch")
    );
    assert!(!later.remove(&id("removed", "over")).await.expect("remove"));
    let (from, to) = (id("renamed", "over"), id("renamed", "new"));
    let rename = jam_core::Rename::new(&from, &renamed.version, &to, &newer);
    assert_eq!(
        later.rename(rename).await.expect_err("it is over").kind(),
        ErrorKind::NotFound
    );
    assert_eq!(payload(&later, &id("read", "over")).await, None);
    assert_eq!(later.list(&key("listed")).await.expect("list").len(), 1);
    for name in ["replaced", "touched", "removed", "renamed", "read", "listed"] {
        assert_eq!(
            new.command(&["HKEYS", &format!("sessions:{name}")]).texts(),
            ["other"],
            "{name}"
        );
        assert_eq!(later.clear(&key(name)).await.expect("clear"), 1);
    }
}

#[tokio::test]
async fn a_replica_that_takes_over_serves_what_was_replicated() {
    let old = Server::options(Kind::Old).arg("repl-diskless-sync-delay", "0").start();
    let before = store(&old).await;
    let new = Server::start(Kind::New);
    assert!(
        new.command(&["REPLICAOF", "127.0.0.1", &old.port().to_string()])
            .is_ok()
    );
    for user in 0..20 {
        let stays = record(&format!("{{\"user\":{user}}}"), Some(60_000));
        before
            .insert(&id(&format!("user{user}"), "one"), &stays)
            .await
            .expect("insert");
    }
    has_all(&new, &old).await;
    assert!(new.command(&["REPLICAOF", "NO", "ONE"]).is_ok());

    let after_move = store(&new).await;
    for user in 0..20 {
        let (one, two) = (id(&format!("user{user}"), "one"), id(&format!("user{user}"), "two"));
        after_move
            .insert(&two, &record("{}", Some(120_000)))
            .await
            .expect("insert");
        assert_eq!(payload(&after_move, &one).await, Some(format!("{{\"user\":{user}}}")));
        let hash = format!("sessions:user{user}");
        assert!(field_expiry(&new, &hash, "one") > 0, "it is not immortal");
        assert_eq!(new.command(&["PTTL", &hash]).int(), -1);
    }
}

/// A hash that some other tool copied key by key is recognised as well: nothing else on the server tells of it.
#[tokio::test]
async fn a_single_hash_that_was_copied_is_converted_before_the_first_write() {
    let old = Server::start(Kind::Old);
    let before = store(&old).await;
    before
        .insert(&id("user1", "one"), &record("{}", Some(30_000)))
        .await
        .expect("insert");
    let dump = old.command(&["DUMP", "sessions:user1"]).bytes().to_vec();
    let new = Server::start(Kind::New);
    let restored = new.command(&[b"RESTORE", &b"sessions:user1"[..], b"30000", &dump]);
    assert!(restored.is_ok());

    let later = store(&new).await;
    later
        .insert(&id("user1", "two"), &record("{}", Some(60_000)))
        .await
        .expect("insert");
    assert_eq!(new.command(&["PTTL", "sessions:user1"]).int(), -1);
    assert_eq!(payload(&later, &id("user1", "one")).await.as_deref(), Some("{}"));
}

/// The store that was open all the while goes on with what the server behind the same address can do now.
#[tokio::test]
async fn a_store_whose_server_is_replaced_by_a_newer_one_stops_emulating() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("server.sock").display().to_string();
    let old = Server::options(Kind::Old).arg("unixsocket", &socket).start();
    let open_before = RedisStore::open(format!("unix://{socket}")).await.expect("opens");
    open_before
        .insert(&id("user1", "one"), &record("{}", Some(60_000)))
        .await
        .expect("insert");
    assert!(!open_before.has_field_expiry().await.expect("an answer"));
    assert!(old.command(&["SAVE"]).is_ok());
    let dump = old.dir().join("dump.rdb");
    old.kill();
    let new = Server::options(Kind::New).arg("unixsocket", &socket).dump(dump).start();

    // The first call may find the old connection gone.
    let first = open_before
        .insert(&id("user1", "two"), &record("{}", Some(60_000)))
        .await;
    assert!(first.is_ok() || first.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    open_before
        .insert(&id("user1", "three"), &record("{}", Some(60_000)))
        .await
        .expect("insert");
    assert!(open_before.has_field_expiry().await.expect("an answer"));
    for field in ["one", "three"] {
        assert!(field_expiry(&new, "sessions:user1", field) > 0);
    }
    assert_eq!(new.command(&["PTTL", "sessions:user1"]).int(), -1);
}

/// A server that followed an old one, and holds what that one held, behind a connection that was open all the while.
#[tokio::test]
async fn a_store_that_sees_its_servers_data_replaced_believes_nothing_it_knew() {
    let old = Server::options(Kind::Old).arg("repl-diskless-sync-delay", "0").start();
    let new = Server::start(Kind::New);
    let (before, store) = (store(&old).await, store(&new).await);
    for user in ["user1", "user2"] {
        let early = record("{}", Some(120_000));
        before.insert(&id(user, "early"), &early).await.expect("insert");
        store.insert(&id(user, "known"), &early).await.expect("insert");
    }
    assert!(
        new.command(&["REPLICAOF", "127.0.0.1", &old.port().to_string()])
            .is_ok()
    );
    has_all(&new, &old).await;
    assert!(new.command(&["REPLICAOF", "NO", "ONE"]).is_ok());
    assert!(new.command(&["PTTL", "sessions:user2"]).int() > 0);

    assert!(payload(&store, &id("user1", "early")).await.is_some());
    store
        .insert(&id("user2", "late"), &record("{}", Some(600_000)))
        .await
        .expect("insert");
    assert_eq!(new.command(&["PTTL", "sessions:user2"]).int(), -1);
}

/// As between a failover and the next one, or where a store is opened at a replica's address.
#[tokio::test]
async fn a_replica_that_can_convert_nothing_is_read_from_all_the_same() {
    let new = Server::start(Kind::New);
    for (field, value) in [("over", "\0@001600000000000{}"), ("live", "\0@999999999999999{}")] {
        new.command(&["HSET", "sessions:user1", field, value]);
    }
    let store = store(&new).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("bound").port().to_string();
    assert!(new.command(&["REPLICAOF", "127.0.0.1", &port]).is_ok());

    let listed = store.list(&key("user1")).await.expect("list");
    assert_eq!(listed.iter().map(|entry| entry.id.id()).collect::<Vec<_>>(), ["live"]);
    assert_eq!(payload(&store, &id("user1", "live")).await.as_deref(), Some("{}"));
    assert_eq!(payload(&store, &id("user1", "over")).await, None);
    let refused = store.remove(&id("user1", "live")).await.expect_err("a replica");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!refused.outcome_unknown());
    assert_eq!(new.command(&["HLEN", "sessions:user1"]).int(), 2);
}

/// What Python's jamlib wrote without a ttl is bare; what jam wrote beside it says when it ends.
#[tokio::test]
async fn a_hash_of_bare_and_of_dated_values_is_converted_whatever_is_seen_first() {
    for _ in 0..8 {
        let new = Server::start(Kind::New);
        for n in 0..6 {
            new.command(&["HSET", "sessions:user1", &format!("bare{n}"), "{}"]);
        }
        new.command(&[&b"HSET"[..], b"sessions:user1", b"over", b"\0@001600000000000{}"]);
        let store = store(&new).await;
        store
            .insert(&id("user1", "new"), &record("{}", None))
            .await
            .expect("insert");
        let late = store.replace(&id("user1", "over"), None, &record("{}", None)).await;
        assert_eq!(late.expect_err("it is over").kind(), ErrorKind::NotFound);
        assert_eq!(store.list(&key("user1")).await.expect("list").len(), 7);
    }
}

/// A hash cannot be converted where there is no memory for it, and nobody is kept from logging out by that.
#[tokio::test]
async fn on_a_full_server_moved_sessions_can_be_read_and_ended_and_none_is_left_without_an_expiry() {
    let old = Server::start(Kind::Old);
    let before = store(&old).await;
    let hour = after(Duration::from_hours(1));
    for user in ["user1", "user2"] {
        for name in ["one", "two", "three"] {
            let mut dated = record("{}", None);
            dated.expires_at = Some(hour);
            before.insert(&id(user, name), &dated).await.expect("insert");
        }
    }
    let new = moved(&old);
    assert!(
        new.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
            .is_ok()
    );
    assert!(new.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
    let fresh = store(&new).await;
    assert_eq!(payload(&fresh, &id("user1", "one")).await.as_deref(), Some("{}"));
    assert_eq!(fresh.list(&key("user1")).await.expect("list").len(), 3);
    let refused = fresh.insert(&id("user1", "four"), &record("{}", None)).await;
    assert_eq!(refused.expect_err("full").kind(), ErrorKind::Unavailable);
    assert!(
        new.command(&["PTTL", "sessions:user1"]).int() > 0,
        "the hash still ends"
    );
    assert!(fresh.remove(&id("user1", "one")).await.expect("remove"));
    assert!(!fresh.remove(&id("user1", "one")).await.expect("remove"));
    assert_eq!(fresh.list(&key("user1")).await.expect("list").len(), 2);
    assert_eq!(fresh.clear(&key("user2")).await.expect("clear"), 3);
    assert!(new.command(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
    fresh
        .insert(&id("user1", "four"), &record("{}", None))
        .await
        .expect("insert");
    let listed = fresh.list(&key("user1")).await.expect("list");
    assert_eq!(listed.iter().filter(|entry| entry.expires_at == Some(hour)).count(), 2);
    assert_eq!(listed.len(), 3);
}

/// A hash that could not be converted still has its old expiry. Who has only seen it must convert it before it writes to it:
/// else what is written later ends with the old sessions.
#[tokio::test]
async fn listing_removing_or_reading_on_a_full_server_does_not_count_as_converting_a_hash() {
    for seen_by in ["list", "remove", "remove what is not there", "read and renew"] {
        let old = Server::start(Kind::Old);
        let before = store(&old).await;
        for name in ["one", "two"] {
            let dated = record("{}", Some(60_000));
            before.insert(&id("user1", name), &dated).await.expect("insert");
        }
        let new = moved(&old);
        assert!(new.command(&["CONFIG", "SET", "maxmemory", "1"]).is_ok());
        let fresh = store(&new).await;
        match seen_by {
            "list" => assert_eq!(fresh.list(&key("user1")).await.expect("list").len(), 2),
            "remove" => assert!(fresh.remove(&id("user1", "one")).await.expect("remove")),
            "remove what is not there" => assert!(!fresh.remove(&id("user1", "three")).await.expect("remove")),
            _ => {
                let renewal = Renewal::new(after(Duration::from_mins(2)), after(Duration::from_mins(2)));
                let read = fresh.load(&id("user1", "one"), Load::new().renew(renewal)).await;
                assert!(read.expect("load").is_some());
            }
        }
        assert!(new.command(&["PTTL", "sessions:user1"]).int() > 0, "{seen_by}");
        assert!(new.command(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
        let late = record("{\"late\":1}", Some(600_000));
        fresh.insert(&id("user1", "late"), &late).await.expect("insert");
        let left = new.command(&["PTTL", "sessions:user1"]).int();
        assert_eq!(
            left, -1,
            "{seen_by}: the session would end with the hash, {left} ms from now"
        );
    }
}

/// What another program wrote, or a disk damaged, cannot be read; what lies beside it can, and all of it can be ended.
#[tokio::test]
async fn a_value_that_only_begins_as_a_dated_one_keeps_nobody_from_the_sessions_beside_it() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        for (field, value) in [
            ("sound", "\0@999999999999999{}"),
            ("bad", "\0@x"),
            ("no number", "\0@nan"),
            ("far", "\0>x"),
        ] {
            server.command(&["HSET", "sessions:user1", field, value]);
        }
        let (late, sound) = (after(Duration::from_hours(1)), id("user1", "sound"));
        let fresh = async || store(&server).await;
        let new = record("{}", Some(60_000));
        fresh().await.insert(&id("user1", "new"), &new).await.expect("insert");
        for field in ["bad", "no number", "far"] {
            let renewal = Renewal::new(late, late);
            for how in [Load::new(), Load::new().with_expiry(), Load::new().renew(renewal)] {
                let read = fresh().await.load(&id("user1", field), how).await;
                let error = read.expect_err("it is none of jam's");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?} {field}: {error}");
            }
            let touched = fresh().await.touch(&id("user1", field), late).await;
            assert!(touched.expect("nothing to prolong"), "{kind:?} {field}");
        }
        assert_eq!(payload(&fresh().await, &sound).await.as_deref(), Some("{}"));
        assert!(fresh().await.remove(&sound).await.expect("remove"), "{kind:?}");
        assert!(fresh().await.remove(&id("user1", "bad")).await.expect("remove"));
        assert_eq!(fresh().await.clear(&key("user1")).await.expect("clear"), 3, "{kind:?}");
        assert_eq!(server.command(&["DBSIZE"]).int(), 0);
    }
}
