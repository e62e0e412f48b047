//! Sessions from a script.

use std::io::Write;
use std::process::Stdio;

use jam_test_servers::{Kind, Server};
use serde_json::json;

use crate::support::{Shell, insert_expired, text};

#[test]
fn a_session_is_created_read_changed_renewed_and_ended_by_scripts() {
    let server = Server::start(Kind::New);
    for store in [
        "json:sessions.json",
        "json-dir:sessions",
        "sqlite:sessions.db",
        &server.url(),
    ] {
        let shell = Shell::on(store);
        let id = shell.ok(&["create", "user1", r#"{"role":"admin"}"#]);
        assert!(id.starts_with("user1:") && !id.contains('\n'), "{store}");
        assert_eq!(shell.ok(&["get", &id]), r#"{"role":"admin"}"#);
        assert_eq!(shell.ok(&["update", &id, r#"{"role":"banned"}"#]), "");
        let new_id = shell.ok(&["rework", &id]);
        assert_ne!(new_id, id);
        shell.run(&["get", &id]).failed(1);
        assert_eq!(shell.ok(&["get", &new_id]), r#"{"role":"banned"}"#);
        assert_eq!(shell.ok(&["delete", &new_id]), "");
        shell.run(&["get", &new_id]).failed(1);
    }
}

#[test]
fn what_is_not_there_is_code_1_for_each_command() {
    let shell = Shell::on("json:sessions.json");
    let id = shell.ok(&["create", "user1", "{}"]);
    shell.ok(&["delete", &id]);
    for words in [
        &["get", &id][..],
        &["update", &id, "{}"],
        &["delete", &id],
        &["rework", &id],
        &["revoke", "user1", "no-such-handle"],
        &["get", "garbage"],
    ] {
        assert_eq!(
            shell.run(words).failed(1),
            "jam: there is no such session\n",
            "{words:?}"
        );
    }
    assert_eq!(shell.ok(&["list", "user1"]), "");
    assert_eq!(shell.ok(&["clear", "user1"]), "0 sessions ended");
}

#[test]
fn ids_come_from_standard_input_or_a_file_too() {
    let shell = Shell::on("json:sessions.json");
    let id = shell.ok(&["create", "user1", "{}"]);
    let file = shell.write("id", &format!("{id}\n"));
    let data = r#"{"n":1}"#;
    assert_eq!(shell.run_with(&id, &["update", "-", data]).done(), "");
    assert_eq!(shell.run_with(&format!("{id}\n"), &["get", "-"]).done(), data);
    assert_eq!(shell.ok(&["get", "--id-file", text(&file)]), data);
    assert_eq!(
        shell
            .run_with(r#"{"n":2}"#, &["update", "--id-file", text(&file), "-"])
            .done(),
        ""
    );
    assert_eq!(shell.run_with(r#"{"n":2}"#, &["create", "user2", "-"]).code, 0);
    assert_eq!(shell.run_with(&id, &["get", "-"]).done(), r#"{"n":2}"#);
    let new_id = shell.ok(&["rework", "--id-file", text(&file)]);
    assert_eq!(shell.run_with(&new_id, &["delete", "-"]).done(), "");
}

#[test]
fn devices_are_listed_and_revoked_by_handle_without_an_id() {
    let shell = Shell::on("json:sessions.json");
    let ids: Vec<_> = (0..3).map(|_| shell.ok(&["create", "user1", "{}"])).collect();
    let table = shell.ok(&["list", "user1"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with("HANDLE ") && lines[0].ends_with("EXPIRES"),
        "{table}"
    );
    let secret = |id: &String| id.rsplit('.').next().unwrap().to_owned();
    assert!(ids.iter().all(|id| !table.contains(&secret(id))));

    let listed = shell.json(&["list", "user1"]);
    let handle = listed[0]["handle"].as_str().unwrap();
    assert!(listed[0]["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(shell.ok(&["revoke", "user1", handle]), "1 session ended");
    shell.run(&["revoke", "user1", handle]).failed(1);
    assert_eq!(shell.json(&["revoke", "user1", "--all"]), json!({"ended": 2}));
    assert_eq!(shell.json(&["list", "user1"]), json!([]));
}

#[test]
fn machines_get_json() {
    let shell = Shell::on("json:sessions.json");
    let id = shell.json(&["create", "user1", r#"{"a":[1,null]}"#]);
    let id = id["id"].as_str().unwrap();
    assert_eq!(shell.json(&["get", id]), json!({"a": [1, null]}));
    assert_eq!(shell.json(&["update", id, "{}"]), json!({"updated": true}));
    let new_id = shell.json(&["rework", id]);
    assert_eq!(
        shell.json(&["delete", new_id["id"].as_str().unwrap()]),
        json!({"ended": 1})
    );
    assert_eq!(shell.json(&["clear", "user1"]), json!({"ended": 0}));
    assert_eq!(shell.json(&["sweep"]), json!({"removed": 0}));
}

#[test]
fn expired_sessions_are_swept() {
    let shell = Shell::on("json:sessions.json");
    insert_expired(&format!("json:{}", text(&shell.path("sessions.json"))));
    assert_eq!(shell.ok(&["sweep"]), "1 expired record removed");
}

#[test]
fn a_new_key_is_printed_alone_and_works() {
    let shell = Shell::new();
    let key = shell.ok(&["keys", "aes"]);
    assert_eq!(key.len(), 44);
    assert_ne!(shell.ok(&["keys", "aes"]), key);
    assert_eq!(shell.json(&["keys", "aes"])["key"].as_str().unwrap().len(), 44);
    let shell = shell
        .set("JAM_CONFIG", "json:sessions.json?is_session_crypt=true")
        .set("JAM_SESSION_AES_SECRET", &key);
    let id = shell.ok(&["create", "user1", r#"{"n":1}"#]);
    assert!(id.starts_with("J$_"));
    assert_eq!(shell.ok(&["get", &id]), r#"{"n":1}"#);
}

#[test]
fn sessions_are_counted() {
    let shell = Shell::on("json:sessions.json");
    for key in ["user1", "user1", "user2"] {
        shell.ok(&["create", key, r#"{"n":1}"#]);
    }
    let stats = shell.json(&["stats"]);
    assert_eq!(
        (&stats["sessions"], &stats["users"], &stats["bytes"]),
        (&json!(3), &json!(2), &json!(21))
    );
    assert_eq!(stats["expiring"]["within_an_hour"], json!(3));
    let table = shell.ok(&["stats"]);
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert!(
        lines.contains(&vec!["sessions", "3"]) && lines.contains(&vec!["within", "an", "hour", "3"]),
        "{table}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic_and_leaves_no_session_behind() {
    let shell = Shell::on("json:sessions.json");
    let mut child = shell.command(&["create", "user1", "{}"]).spawn().unwrap();
    drop(child.stdout.take());
    let ran: crate::support::Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, ran.err.as_str()), (141, ""));
    assert_eq!(shell.json(&["list", "user1"]), json!([]));
}

#[test]
fn a_rework_whose_new_id_nobody_reads_leaves_no_session_behind() {
    let shell = Shell::on("json:sessions.json?grace=60");
    let id = shell.ok(&["create", "user1", "{}"]);
    let mut child = shell.command(&["rework", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // The reader is gone before the id is known.
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(id.as_bytes()).unwrap();
    let ran: crate::support::Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, ran.err.as_str()), (141, ""));
    assert_eq!(shell.json(&["list", "user1"]), json!([]));
    shell.run(&["get", &id]).failed(1);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let shell = Shell::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = shell
        .command(&["keys", "aes"])
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("jam: the output cannot be written"));
}

#[test]
fn every_shell_has_a_completion_script() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shell.ok(&["completions", name]);
        assert!(script.contains("rework") && script.contains("id-file"), "{name}");
    }
}
