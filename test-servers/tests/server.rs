//! One server: starting, commands, options.

use std::thread;

use jam_test_servers::{Connection, Kind, Reply, Server};

const BOTH: [Kind; 2] = [Kind::Old, Kind::New];

fn knows(server: &Server, command: &str) -> bool {
    let reply = server.command(&[command]);
    !matches!(&reply, Reply::Error(error) if error.starts_with("ERR unknown command"))
}

#[test]
fn a_server_of_each_kind_answers() {
    for kind in BOTH {
        let server = Server::start(kind);
        assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
        assert_eq!(server.command(&["HSET", "sessions:user1", "id", "{}"]), Reply::Int(1));
        assert_eq!(server.command(&["HGETALL", "sessions:user1"]).texts(), ["id", "{}"]);
        assert_eq!(server.command(&["HGET", "sessions:user1", "other"]), Reply::Nil);
        assert!(server.command(&["NOSUCH"]).is_error());
    }
}

#[test]
fn bytes_that_are_no_text_pass_unharmed() {
    let server = Server::start(Kind::New);
    let value: &[u8] = b"\x00\r\n\xff$5\r\n";
    assert!(server.command(&[b"SET", b"key", value]).is_ok());
    assert_eq!(server.command(&["GET", "key"]).bytes(), value);
}

#[test]
fn only_the_new_kind_has_field_expiry() {
    let [old, new] = BOTH.map(Server::start);
    for command in ["HSETEX", "HGETEX", "HPEXPIRE", "HPEXPIREAT", "HPTTL", "HPERSIST"] {
        assert!(!knows(&old, command), "{command} on the old server");
        assert!(knows(&new, command), "{command} on the new server");
    }
}

#[test]
fn hidden_commands_are_unknown_even_if_they_are_so_anyway() {
    let server = Server::options(Kind::New).hide(&["hsetex", "NOSUCH"]).start();
    assert!(!knows(&server, "HSETEX"));
    assert!(knows(&server, "HPEXPIRE"));
}

#[test]
fn nothing_persists_unless_asked_for() {
    for (appendonly, kept) in [("no", Reply::Nil), ("yes", Reply::Bulk(b"value".to_vec()))] {
        let server = Server::options(Kind::New)
            .arg("appendonly", appendonly)
            .arg("appendfsync", "always")
            .start();
        server.command(&["SET", "key", "value"]);
        server.shut_down();
        server.restart();
        assert_eq!(server.command(&["GET", "key"]), kept);
    }
}

#[test]
fn a_dump_moves_to_another_server() {
    let server = Server::start(Kind::Old);
    server.command(&["SET", "key", "value"]);
    assert!(server.command(&["SAVE"]).is_ok());
    let other = Server::options(Kind::Old).dump(server.dir().join("dump.rdb")).start();
    assert_eq!(other.command(&["GET", "key"]).text(), "value");
}

#[test]
fn a_password_is_asked_of_others_and_is_part_of_the_url() {
    for kind in BOTH {
        let server = Server::options(kind).requirepass(r#"p@ss "word\"#).start();
        assert_eq!(
            server.url(),
            format!("redis://:p%40ss%20%22word%5C@127.0.0.1:{}", server.port())
        );
        assert_eq!(server.command(&["PING"]).text(), "PONG");
        let mut stranger = Connection::open(server.address()).unwrap();
        assert!(stranger.command(&["PING"]).unwrap().is_error());
        assert!(stranger.command(&["AUTH", r#"p@ss "word\"#]).unwrap().is_ok());
    }
}

#[test]
fn users_have_their_rules_and_the_tests_get_in_even_if_the_default_user_does_not() {
    for kind in BOTH {
        let server = Server::options(kind)
            .acl_user("default", "off")
            .acl_user("app", "on >secret ~sessions:* +@all -info -command")
            .start();
        assert!(server.command(&["SET", "other", "1"]).is_ok());
        let mut app = Connection::open(server.address()).unwrap();
        assert!(app.command(&["PING"]).unwrap().is_error());
        assert!(app.command(&["AUTH", "app", "secret"]).unwrap().is_ok());
        assert!(app.command(&["SET", "sessions:user1", "1"]).unwrap().is_ok());
        for refused in [&["GET", "other"][..], &["INFO"], &["COMMAND"]] {
            assert!(app.command(refused).unwrap().is_error(), "{refused:?}");
        }
    }
}

#[test]
fn a_unix_socket_is_there_on_request() {
    let server = Server::options(Kind::Old).unix_socket().start();
    let path = server.unix_url().strip_prefix("unix://").unwrap().to_owned();
    std::os::unix::net::UnixStream::connect(path).unwrap();
}

#[test]
fn tls_presents_a_certificate_that_its_authority_vouches_for() {
    let server = Server::options(Kind::Old).tls().start();
    let address = server.tls_url().strip_prefix("rediss://").unwrap().to_owned();
    for name in ["localhost", "127.0.0.1"] {
        let by = if name == "localhost" {
            "-verify_hostname"
        } else {
            "-verify_ip"
        };
        let output = std::process::Command::new("openssl")
            .args([
                "s_client",
                "-brief",
                "-verify_return_error",
                by,
                name,
                "-connect",
                &address,
                "-CAfile",
            ])
            .arg(server.ca_path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("Verification: OK"), "{said}");
    }
}

#[test]
fn many_servers_at_once_have_ports_and_directories_of_their_own() {
    let servers: Vec<Server> = thread::scope(|scope| {
        let starts: Vec<_> = (0..12)
            .map(|n| scope.spawn(move || Server::start(BOTH[n % 2])))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for (n, server) in servers.iter().enumerate() {
        server.command(&["SET", "number", &n.to_string()]);
    }
    for (n, server) in servers.iter().enumerate() {
        assert_eq!(server.command(&["GET", "number"]).text(), n.to_string());
    }
}
