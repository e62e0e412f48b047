//! `jam doctor`: what is wrong is said, with what to do, and shows in the exit code.

use std::time::{Duration, Instant};

use jam_test_servers::{Cluster, Kind, Sentinels, Server};
use serde_json::Value;

use crate::support::{Shell, block_on, store, text};

/// Severity and text of what was found on a subject.
fn found(shell: &Shell, code: i32, subject: &str) -> (String, String) {
    let ran = shell.run(&["doctor", "--json"]);
    assert_eq!(ran.code, code, "{ran:?}");
    let findings: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let finding = findings.iter().find(|finding| finding["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing on {subject}: {}", ran.out));
    (finding["severity"].as_str().unwrap().to_owned(), finding.to_string())
}

fn is(shell: &Shell, code: i32, subject: &str, severity: &str, words: &str) {
    let (found, text) = found(shell, code, subject);
    assert_eq!(found, severity, "{text}");
    assert!(text.contains(words), "`{words}` is missing in {text}");
}

#[test]
fn a_sound_store_of_each_kind_is_fine_and_is_left_as_it_was() {
    let server = Server::options(Kind::New)
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .start();
    for store in ["json:a.json", "json-dir:a", "sqlite:a.db", &server.url()] {
        let shell = Shell::on(store);
        let id = shell.ok(&["create", "user1", "{}"]);
        let table = shell.ok(&["doctor"]);
        assert!(table.contains("kept, read back and removed"), "{table}");
        assert!(
            !table.contains("warning") && !table.contains("wrong"),
            "{store}: {table}"
        );
        assert_eq!(shell.json(&["stats"])["sessions"], 1);
        assert_eq!(shell.json(&["stats"])["grace_notes"], 0);
        shell.ok(&["delete", &id]);
    }
}

#[test]
fn a_server_of_each_generation_says_which_it_is_and_what_it_can_do() {
    for (kind, name, commands) in [
        (Kind::New, "Valkey", "HSETEX"),
        (Kind::Old, "Redis", "jam keeps the expiry"),
    ] {
        let server = Server::start(kind);
        let shell = Shell::on(&server.url());
        is(&shell, 0, "server", "fine", name);
        is(&shell, 0, "commands", "fine", commands);
        is(&shell, 0, "clock", "fine", "agrees");
        is(&shell, 0, "durability", "warning", "appendonly yes");
    }
}

#[test]
fn a_stopped_server_is_wrong() {
    let server = Server::start(Kind::New);
    let shell = Shell::on(&server.url());
    server.shut_down();
    is(&shell, 7, "connection", "wrong", "see that it runs");
    let ran = shell.run(&["doctor"]);
    assert_eq!(ran.err, "jam: 1 thing is wrong\n");
    assert!(ran.out.contains("-> see that it runs"), "{}", ran.out);
}

#[test]
fn a_read_only_server_is_wrong() {
    let (primary, replica) = (Server::start(Kind::New), Server::start(Kind::New));
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let shell = Shell::on(&replica.url());
    is(&shell, 7, "role", "wrong", "name the primary");
    is(&shell, 7, "a write", "wrong", "");
}

#[test]
fn a_server_that_would_end_sessions_is_wrong() {
    let server = Server::options(Kind::New)
        .arg("maxmemory-policy", "allkeys-lru")
        .start();
    let shell = Shell::on(&server.url());
    is(&shell, 0, "eviction", "warning", "noeviction");
    server.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    is(&shell, 7, "eviction", "wrong", "noeviction");
}

#[test]
fn a_full_server_is_wrong() {
    let server = Server::start(Kind::New);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    is(&Shell::on(&server.url()), 7, "memory", "wrong", "raise `maxmemory`");
}

#[test]
fn replicas_that_are_asked_for_and_not_there_are_wrong() {
    let server = Server::start(Kind::New);
    let shell = Shell::on(&format!("{}?wait_replicas=1&wait_timeout=0.1", server.url()));
    is(&shell, 7, "replicas", "wrong", "ends of sessions are not confirmed");
}

#[test]
fn a_user_who_may_not_ask_gets_an_answer_all_the_same() {
    let rules = "on >pw ~sessions:* +@hash +@scripting +@connection +time +pttl +pexpireat +persist +unlink";
    let server = Server::options(Kind::New).acl_user("app", rules).start();
    let shell = Shell::on(&format!("redis://app:pw@127.0.0.1:{}", server.port()));
    is(&shell, 0, "server", "warning", "may not call INFO");
    is(&shell, 0, "a write", "fine", "");
    let shell = Shell::on(&format!("redis://app:wrong-hunter2@127.0.0.1:{}", server.port()));
    is(&shell, 7, "connection", "wrong", "");
    assert!(!shell.run(&["doctor"]).out.contains("hunter2"));
}

/// A `?` in a password that nobody encoded, and an `@` in a query: which of them is the password nobody can tell.
#[test]
fn a_password_that_was_not_encoded_is_not_shown() {
    for place in ["app:hunter2?x@127.0.0.1:1", "127.0.0.1:1?password=p@hunter2"] {
        let shell = Shell::new();
        shell.write(
            "jam.toml",
            &format!("[jam.session]\nsession_type = \"redis\"\nredis_uri = \"redis://{place}\"\n"),
        );
        for run in [
            shell.set("JAM_CONFIG", "jam.toml").run(&["doctor"]),
            Shell::on(&format!("redis://{place}")).run(&["doctor"]),
        ] {
            assert!(
                !run.out.contains("hunter2") && !run.err.contains("hunter2"),
                "{} {}",
                run.out,
                run.err
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn files_that_others_may_read_are_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let shell = Shell::new();
    let key = shell.ok(&["keys", "aes"]);
    let key_file = shell.write("session.key", &key);
    let config = |key: &str| {
        format!(
            "[jam.session]\nsession_type = \"json\"\njson_path = \"s.json\"\nis_session_crypt = true\nsession_aes_secret = \"{key}\"\n"
        )
    };
    let file = shell.write("jam.toml", &config(&key));
    let shell = shell.set("JAM_CONFIG", "jam.toml");
    shell.ok(&["create", "user1", "{}"]);
    mode(&file, 0o640);
    is(&shell, 7, "config file", "wrong", "chmod 600");
    mode(&file, 0o600);
    is(&shell, 0, "config file", "fine", "600");
    is(&shell, 0, "encryption", "fine", "are encrypted");

    shell.write("jam.toml", &config(text(&key_file)));
    mode(&key_file, 0o644);
    is(&shell, 7, "key file", "wrong", "chmod 600");
    mode(&key_file, 0o400);
    is(&shell, 0, "key file", "fine", "400");

    mode(&shell.path("s.json"), 0o644);
    is(&shell, 7, "permissions", "wrong", "chmod 600");
}

/// No server is needed for that.
#[cfg(unix)]
#[test]
fn the_key_of_a_client_certificate_must_be_its_owners_alone_too() {
    use std::os::unix::fs::PermissionsExt;
    let shell = Shell::on("rediss://127.0.0.1:1?tls_cert=client.pem&tls_key=client.key");
    shell.write("client.pem", "a certificate");
    let key = shell.write("client.key", "its key");
    for (mode, severity, words) in [(0o640, "wrong", "chmod 600 client.key"), (0o600, "fine", "mode 600")] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        is(&shell, 7, "key file", severity, words);
    }
}

#[test]
fn a_cookie_that_goes_over_plain_http_is_warned_of() {
    let shell = Shell::new().set("JAM_CONFIG", "jam.toml");
    let config = |insecure: bool| {
        let cookie = format!("[jam.session.cookie]\ninsecure_for_development = {insecure}\n");
        shell.write(
            "jam.toml",
            &format!("[jam.session]\nsession_type = \"memory\"\n{cookie}"),
        );
    };
    config(true);
    is(&shell, 0, "cookie", "warning", "leave it out");
    config(false);
    assert!(all_found(&shell, "cookie").is_empty());
}

#[test]
fn a_store_that_is_not_there_is_wrong_and_not_made() {
    let shell = Shell::on("sqlite:typo.db");
    is(&shell, 7, "opening", "wrong", "typo.db");
    assert!(shell.names().is_empty());
    Shell::on("sqlite:typo.db?durabilty=os").run(&["doctor"]).failed(3);
    Shell::on("redis://127.0.0.1:1?durabilty=os").run(&["doctor"]).failed(3);
}

#[test]
fn a_damaged_file_is_wrong() {
    let shell = Shell::on("json:s.json");
    shell.ok(&["create", "user1", "{}"]);
    let damaged = std::fs::read_to_string(shell.path("s.json"))
        .unwrap()
        .replace("expires", "expirez");
    std::fs::write(shell.path("s.json"), damaged).unwrap();
    is(&shell, 7, "opening", "wrong", "s.json");
}

#[test]
fn weak_durability_is_a_warning() {
    let shell = Shell::on("sqlite:s.db?durability=os");
    shell.ok(&["create", "user1", "{}"]);
    is(&shell, 0, "durability", "warning", "power cut");
}

/// What is said of a subject, as often as it is: severities and texts.
fn all_found(shell: &Shell, subject: &str) -> Vec<String> {
    let ran = shell.run(&["doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let of = |finding: &&Value| finding["subject"] == subject;
    let text = |finding: &Value| {
        format!(
            "{} {}",
            finding["severity"].as_str().unwrap(),
            finding["found"].as_str().unwrap()
        )
    };
    findings.iter().filter(of).map(text).collect()
}

/// Until something is said of a subject; servers take a moment to notice that another one is gone.
fn comes_to_say(shell: &Shell, subject: &str, said: &str) {
    let began = Instant::now();
    loop {
        let found = all_found(shell, subject);
        if found.iter().any(|found| found.contains(said)) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "`{said}` is missing in {found:?}"
        );
    }
}

#[test]
fn a_file_that_its_service_has_open_is_no_trouble_but_cannot_be_looked_into() {
    let shell = Shell::on("json:s.json");
    shell.ok(&["create", "user1", "{}"]);
    let service = block_on(store(&format!("json:{}", text(&shell.path("s.json")))));
    is(&shell, 0, "opening", "warning", "in use by another process");
    is(&shell, 0, "opening", "warning", "stop the service");
    is(&shell, 0, "permissions", "fine", "600");
    is(&shell, 0, "durability", "fine", "");
    block_on(service.close()).unwrap();
    assert!(all_found(&shell, "opening").is_empty());
    is(&shell, 0, "a write", "fine", "");
}

#[cfg(unix)]
#[test]
fn what_lies_beside_a_file_must_be_its_owners_alone_too() {
    use std::os::unix::fs::PermissionsExt;
    for (url, beside) in [
        ("sqlite:s.db", "s.db-wal"),
        ("sqlite:s.db", "s.db-journal"),
        ("json:s.json", "s.json.journal-7"),
        ("json:s.json", "s.json.jamlib"),
    ] {
        let shell = Shell::on(url);
        shell.ok(&["create", "user1", "{}"]);
        let open_to = |mode| {
            let path = shell.write(beside, "");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            all_found(&shell, "permissions")
        };
        let found = open_to(0o640);
        assert_eq!(found.len(), 2, "{beside}: {found:?}");
        assert!(
            found[0].starts_with("fine") && found[1].starts_with("wrong"),
            "{found:?}"
        );
        assert!(found[1].contains(beside), "{found:?}");
        let found = open_to(0o600);
        assert!(found.len() == 1 && found[0].starts_with("fine"), "{beside}: {found:?}");
    }
}

#[test]
fn sentinels_that_are_away_are_told_of_and_a_lost_majority_is_wrong() {
    let cast = Sentinels::start(Kind::Old);
    let hosts: Vec<_> = cast.sentinel_addresses().iter().map(ToString::to_string).collect();
    let shell = Shell::on(&format!("redis+sentinel://{}/{}", hosts.join(","), Sentinels::SERVICE));
    is(
        &shell,
        0,
        "sentinels",
        "fine",
        "3 in the URL; all answer, and name the same primary",
    );
    is(&shell, 0, "role", "fine", "a primary");
    let one = Shell::on(&format!("redis+sentinel://{}/{}", hosts[0], Sentinels::SERVICE));
    is(&one, 0, "sentinels", "warning", "one of the 3");
    let stranger = Shell::on(&format!("redis+sentinel://{}/nobody", hosts.join(",")));
    is(&stranger, 7, "sentinels", "wrong", "do not know the service");

    cast.sentinels()[2].kill();
    comes_to_say(&shell, "sentinels", "warning 1 of the 3 in the URL do not answer");
    cast.sentinels()[1].kill();
    comes_to_say(&shell, "sentinels", "wrong too few of them are up");
    is(&shell, 7, "a write", "fine", "");
    cast.sentinels()[0].kill();
    is(&shell, 7, "sentinels", "wrong", "");
}

#[test]
fn slots_that_nobody_serves_and_primaries_without_a_replica_are_told_of() {
    let cluster = Cluster::start(Kind::New);
    let hosts: Vec<_> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let shell = Shell::on(&format!("redis+cluster://{}", hosts.join(",")));
    is(
        &shell,
        0,
        "cluster",
        "fine",
        "3 primaries, each with a replica, serve all 16384 slots",
    );
    assert_eq!(all_found(&shell, "server").len(), 3, "each primary is looked at");
    for primary in cluster.primaries() {
        let said = all_found(&shell, "role");
        let named = primary.address().to_string();
        assert!(
            said.iter().any(|said| said.contains(&named)),
            "{named} is missing in {said:?}"
        );
    }
    let replica = cluster.replica_of("sessions:user1");
    let primary = cluster.primary_of("sessions:user1");
    replica.kill();
    comes_to_say(
        &shell,
        "cluster",
        "warning 1 of the 3 primaries have no replica that is up",
    );
    primary.kill();
    comes_to_say(&shell, "cluster", "slots are served by no node");
    is(&shell, 7, "cluster", "wrong", "bring the node back");
}
