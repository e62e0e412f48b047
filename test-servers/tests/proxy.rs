//! Bad networks.
#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails the test")]

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use jam_test_servers::{Connection, Kind, Proxy, Reply, Server};

fn stage() -> (Server, Proxy, Connection) {
    let server = Server::start(Kind::New);
    let proxy = Proxy::start(server.address());
    let client = Connection::open(proxy.address()).unwrap();
    (server, proxy, client)
}

fn works(proxy: &Proxy) -> bool {
    Connection::open(proxy.address())
        .and_then(|mut client| ping(&mut client))
        .is_ok()
}

fn ping(client: &mut Connection) -> io::Result<Reply> {
    client.command(&["PING"])
}

#[test]
fn it_passes_everything_on_until_told_otherwise() {
    let (server, proxy, mut client) = stage();
    let value = vec![7; 3_000_000];
    assert!(client.command(&[b"SET", b"key", &value[..]]).unwrap().is_ok());
    assert_eq!(client.command(&["GET", "key"]).unwrap(), Reply::Bulk(value));
    assert_eq!(server.command(&["STRLEN", "key"]).int(), 3_000_000);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.url(), format!("redis://{}", proxy.address()));
}

#[test]
fn the_end_of_a_server_is_the_end_of_its_connections() {
    let (server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    server.kill();
    assert!(ping(&mut client).is_err());
    assert!(!works(&proxy));
    server.restart();
    assert!(works(&proxy));
}

#[test]
fn a_severed_connection_is_reset_and_the_next_one_works() {
    let (_server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.sever();
    let error = ping(&mut client).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error:?}"
    );
    assert!(works(&proxy));
}

#[test]
fn a_request_can_be_cut_off_in_its_middle() {
    let (server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.sever_after_request_bytes(20);
    assert!(client.command(&["SET", "key", "value"]).is_err());
    assert_eq!(server.command(&["GET", "key"]), Reply::Nil);
    assert!(works(&proxy));
}

#[test]
fn a_reply_can_be_cut_off_in_its_middle() {
    let (server, proxy, mut client) = stage();
    server.command(&["SET", "key", "0123456789"]);
    let mut bystander = Connection::open(proxy.address()).unwrap();
    assert!(ping(&mut bystander).is_ok());
    proxy.sever_after_reply_bytes(8);
    assert!(client.command(&["GET", "key"]).is_err());
    assert!(ping(&mut bystander).is_err());
    assert!(works(&proxy));
    proxy.sever_after_reply_bytes(7);
    let mut client = Connection::open(proxy.address()).unwrap();
    assert!(ping(&mut client).is_ok(), "+PONG and its end are seven bytes");
    assert!(ping(&mut client).is_err());
}

#[test]
fn a_write_whose_reply_is_dropped_has_been_done() {
    let (server, proxy, mut client) = stage();
    proxy.drop_replies();
    for n in 1..4 {
        assert!(client.command(&["INCR", "number"]).is_err());
        assert_eq!(server.command(&["GET", "number"]).text(), n.to_string());
        client = Connection::open(proxy.address()).unwrap();
    }
    proxy.heal();
    assert_eq!(client.command(&["INCR", "number"]).unwrap(), Reply::Int(4));
}

#[test]
fn a_black_hole_is_silent_and_what_it_held_arrives_late() {
    let (server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.black_hole();
    let mut newcomer = Connection::open(proxy.address()).unwrap();
    for client in [&mut client, &mut newcomer] {
        client.set_timeout(Duration::from_millis(50)).unwrap();
        let error = client.command(&["INCR", "number"]).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error:?}"
        );
    }
    assert_eq!(server.command(&["GET", "number"]), Reply::Nil);
    proxy.heal();
    for client in [&mut client, &mut newcomer] {
        client.set_timeout(Duration::from_secs(10)).unwrap();
        let late = ping(client).unwrap();
        assert!(
            matches!(late, Reply::Int(1 | 2)),
            "the reply to what was asked first: {late:?}"
        );
    }
}

#[test]
fn refused_connections_are_reset_and_old_ones_go_on() {
    let (_server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.refuse();
    assert!(!works(&proxy));
    assert!(ping(&mut client).is_ok());
    proxy.heal();
    assert!(works(&proxy));
}

#[test]
fn a_delay_is_paid_in_both_directions() {
    let (_server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.delay(Duration::from_millis(30)..=Duration::from_millis(40));
    let start = Instant::now();
    assert!(ping(&mut client).is_ok());
    assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
}

#[test]
fn split_bytes_arrive_in_order() {
    let (_server, proxy, mut client) = stage();
    proxy.split();
    let value: Vec<u8> = (0..=255).cycle().take(2_000).collect();
    assert!(client.command(&[b"SET", b"key", &value[..]]).unwrap().is_ok());
    assert_eq!(client.command(&["GET", "key"]).unwrap(), Reply::Bulk(value));
}

#[test]
fn faults_add_up() {
    let (server, proxy, mut client) = stage();
    proxy.split();
    proxy.delay(Duration::ZERO..=Duration::from_millis(1));
    proxy.drop_replies();
    assert!(client.command(&["SET", "key", "value"]).is_err());
    assert_eq!(server.command(&["GET", "key"]).text(), "value");
}

#[test]
fn a_proxy_that_is_dropped_lets_go_of_everybody_even_of_those_in_a_black_hole() {
    let (_server, proxy, mut client) = stage();
    assert!(ping(&mut client).is_ok());
    proxy.black_hole();
    client.set_timeout(Duration::from_millis(50)).unwrap();
    assert!(ping(&mut client).is_err());
    let address = proxy.address();
    drop(proxy);
    client.set_timeout(Duration::from_secs(10)).unwrap();
    let error = ping(&mut client).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error:?}"
    );
    assert!(Connection::open(address).is_err());
}
