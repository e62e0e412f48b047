//! `jam doctor`: what is wrong is said, with what to do, and shows in the exit code.

use jam_test_servers::{Kind, Server};
use serde_json::Value;

use crate::support::{Shell, text};

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
    is(&shell, 7, "replicas", "wrong", "no session can be ended");
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
