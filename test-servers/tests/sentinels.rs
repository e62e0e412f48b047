//! Sentinels and those they watch over.

use std::thread;

use jam_test_servers::{Kind, Sentinels, Server};

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

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    with_each_kind(|kind| {
        let cast = Sentinels::start(kind);
        assert_eq!(cast.sentinel_addresses().len(), 3);
        assert_eq!(cast.nodes()[0].address(), cast.primary_address());
        cast.primary().command(&["SET", "key", "1"]);
        assert_eq!(cast.primary().command(&["WAIT", "2", "5000"]).int(), 2);
        let killed = cast.kill_primary();
        let new = cast.wait_for_new_primary();
        assert_ne!(new, killed.address());
        assert_eq!(cast.primary_address(), new);
        assert_eq!(cast.primary().command(&["GET", "key"]).text(), "1");
        assert!(cast.primary().command(&["SET", "key", "2"]).is_ok());
        killed.restart();
        cast.wait_until_ok();
        assert_eq!(killed.command(&["GET", "key"]).text(), "2");
    });
}

#[test]
fn a_failover_on_demand_works_behind_passwords_and_users() {
    with_each_kind(|kind| {
        let options = match kind {
            Kind::New => Server::options(kind).requirepass("secret"),
            Kind::Old => Server::options(kind).acl_user("default", "off"),
        };
        let cast = Sentinels::start_with(options);
        let before = cast.primary_address();
        let after = cast.fail_over();
        assert_ne!(before, after);
        assert_eq!(cast.primary_address(), after);
        cast.wait_until_ok();
    });
}
