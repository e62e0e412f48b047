//! A cluster: who serves what, failover, resharding.

use std::thread;

use jam_test_servers::{Cluster, Kind, Reply, Server, slot_of};

/// At the same time, since most of it is waiting.
fn with_each_kind(test: impl Fn(Kind) + Sync) {
    thread::scope(|scope| {
        for kind in [Kind::Old, Kind::New] {
            scope.spawn({
                let test = &test;
                move || test(kind)
            });
        }
    });
}

/// `MOVED`, `ASK`, or nothing where the server has answered.
fn sent_on(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Error(error) => error.split(' ').next(),
        _ => None,
    }
}

#[test]
fn three_primaries_serve_every_key_and_each_has_a_replica() {
    with_each_kind(|kind| {
        let cluster = Cluster::start(kind);
        assert_eq!(cluster.nodes().len(), 6);
        assert_eq!(cluster.primaries().len(), 3);
        assert!(cluster.urls().contains(&cluster.url()));
        for n in 0..50 {
            let key = format!("sessions:user{n}");
            assert!(cluster.primary_of(&key).command(&["SET", &key, "1"]).is_ok());
            let slot = cluster.primary_of(&key).command(&["CLUSTER", "KEYSLOT", &key]).int();
            assert_eq!(slot, i64::from(slot_of(&key)));
        }
        assert_eq!(sent_on(&cluster.replica_of("x").command(&["GET", "x"])), Some("MOVED"));
    });
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    with_each_kind(|kind| {
        let cluster = Cluster::start(kind);
        cluster.primary_of("key").command(&["SET", "key", "1"]);
        cluster.primary_of("key").command(&["WAIT", "1", "5000"]);
        let killed = cluster.kill_primary("key");
        cluster.wait_until_ok();
        let now = cluster.primary_of("key");
        assert_ne!(now.port(), killed.port());
        assert_eq!(now.command(&["GET", "key"]).text(), "1");
        killed.restart();
        cluster.wait_until_ok();
        assert_eq!(cluster.replica_of("key").port(), killed.port());
    });
}

#[test]
fn a_paused_primary_is_replaced_too() {
    let cluster = Cluster::start(Kind::New);
    let paused = cluster.primary_of("key");
    paused.pause();
    cluster.wait_until_ok();
    assert_ne!(cluster.primary_of("key").port(), paused.port());
    paused.resume();
    cluster.wait_until_ok();
    assert_eq!(cluster.replica_of("key").port(), paused.port());
}

#[test]
fn a_failover_in_good_order_keeps_every_write() {
    let cluster = Cluster::start(Kind::Old);
    let before = cluster.primary_of("key").port();
    cluster.primary_of("key").command(&["SET", "key", "1"]);
    cluster.fail_over("key");
    assert_ne!(cluster.primary_of("key").port(), before);
    assert_eq!(cluster.primary_of("key").command(&["GET", "key"]).text(), "1");
}

#[test]
fn a_slot_moves_with_its_keys_and_clients_are_sent_on_meanwhile() {
    with_each_kind(|kind| {
        let cluster = Cluster::start_with(Server::options(kind).requirepass("secret"));
        let (first, second, slot) = ("{user}1", "{user}2", slot_of("user"));
        let from = cluster.primary_of(first);
        let to = *cluster
            .primaries()
            .iter()
            .find(|node| node.port() != from.port())
            .unwrap();
        from.command(&["HSET", first, "id", "1"]);
        from.command(&["HSET", second, "id", "2"]);

        let migration = cluster.begin_migrating(slot, to);
        assert_eq!(migration.from().port(), from.port());
        assert_eq!(from.command(&["HGET", first, "id"]).text(), "1", "not moved yet");
        assert_eq!(sent_on(&from.command(&["HGET", "{user}3", "id"])), Some("ASK"));
        assert_eq!(migration.move_keys(1), 1);
        let asked = [first, second].map(|key| from.command(&["HGET", key, "id"]).is_error());
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 1, "one of two has moved");
        migration.finish();

        assert_eq!(cluster.primary_of(first).port(), to.port());
        assert_eq!(sent_on(&from.command(&["HGET", first, "id"])), Some("MOVED"));
        assert_eq!(to.command(&["HGET", first, "id"]).text(), "1");
        assert_eq!(to.command(&["HGET", second, "id"]).text(), "2");

        cluster.reshard(slot, from);
        assert_eq!(from.command(&["HGET", second, "id"]).text(), "2");
    });
}
