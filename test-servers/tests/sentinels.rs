//! Sentinels and those they watch over.

use jam_test_servers::{Kind, Sentinels, Server};

const BOTH: [Kind; 2] = [Kind::Old, Kind::New];

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    for kind in BOTH {
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
    }
}

#[test]
fn a_failover_on_demand_works_behind_passwords_and_users() {
    let password = Server::options(Kind::New).requirepass("secret");
    let users = Server::options(Kind::Old).acl_user("default", "off");
    for options in [password, users] {
        let cast = Sentinels::start_with(options);
        let before = cast.primary_address();
        let after = cast.fail_over();
        assert_ne!(before, after);
        assert_eq!(cast.primary_address(), after);
        cast.wait_until_ok();
    }
}
