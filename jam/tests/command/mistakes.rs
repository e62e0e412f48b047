//! What a new user gets wrong: each mistake has its exit code and a message that helps, and shows no secret.

use jam::Record;
use jam_test_servers::{Kind, Server};

use crate::support::{Ran, Shell, block_on, store, text};

fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[test]
fn without_a_store_the_command_says_how_to_name_one() {
    let error = Shell::new().run(&["list", "user1"]).failed(3);
    says(&error, &["--config", "--url", "JAM_CONFIG"]);
}

#[test]
fn a_store_is_named_by_file_url_or_environment() {
    let shell = Shell::new();
    shell.write(
        "jam.toml",
        "[jam.session]\nsession_type = \"json\"\n[other]\nsession_type = \"json\"\njson_path = \"o.json\"\n",
    );
    shell.ok(&["--config", "jam.toml", "create", "a", "{}"]);
    shell.ok(&["create", "b", "{}", "--url", "json:sessions.json"]);
    assert_eq!(shell.json(&["stats", "--config", "jam.toml"])["users"], 2);
    shell.ok(&["create", "c", "{}", "--config", "jam.toml", "--pointer", "other"]);
    assert!(shell.names().contains(&"o.json".to_owned()));
    let shell = shell.set("JAM_CONFIG", "jam.toml");
    assert_eq!(shell.json(&["stats"])["users"], 2);
    // An option comes before the variable.
    assert_eq!(shell.json(&["stats", "--url", "json:o.json"])["users"], 1);
    let shell = Shell::new().set("JAM_SESSION_URL", "json:e.json");
    shell.ok(&["create", "a", "{}"]);
    assert_eq!(shell.json(&["stats"])["users"], 1);
    // Under each name that the library takes.
    for name in ["TYPE", "SESSION_TYPE", "SESSIONS_TYPE"] {
        let shell = Shell::new().set(&format!("JAM_SESSION_{name}"), "json");
        shell.ok(&["create", "a", "{}"]);
        assert_eq!(shell.names(), ["sessions.json", "sessions.json.lock"], "{name}");
    }
    // One that says something else alone is no store.
    let error = Shell::new().set("JAM_SESSION_TTL", "60").run(&["stats"]).failed(3);
    says(&error, &["which sessions?"]);
}

#[test]
fn a_url_that_was_given_is_not_led_elsewhere_by_the_environment() {
    let shell = Shell::new();
    shell.ok(&["--url", "json:b.json", "create", "user1", "{}"]);
    for (name, value) in [
        ("URL", "json:b.json"),
        ("TYPE", "sqlite"),
        ("JSON_PATH", "b.json"),
        ("SQLITE_PATH", "b.db"),
        ("SQLITE_TABLE", "b"),
        ("STORAGE_PATH", "b"),
        ("REDIS_URI", "redis://127.0.0.1:1"),
        ("PATH", "b"),
        ("DATABASE", "1"),
    ] {
        shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
        let mut clear = shell.command(&["--url", "json:a.json", "clear", "user1"]);
        let ran = Ran::from(clear.env(format!("JAM_SESSION_{name}"), value).output().unwrap());
        assert_eq!(ran.done(), "1 session ended", "{name}");

        shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
        let mut clear = shell.command(&["clear", "user1"]);
        let clear = clear.env("JAM_CONFIG", "json:a.json");
        let ran = Ran::from(clear.env(format!("JAM_SESSION_{name}"), value).output().unwrap());
        assert_eq!(ran.done(), "1 session ended", "{name}, and the URL in JAM_CONFIG");
    }
    assert_eq!(shell.json(&["--url", "json:b.json", "stats"])["sessions"], 1);
}

#[test]
fn the_environment_says_what_a_url_on_the_command_line_leaves_open() {
    let shell = Shell::new().set("JAM_SESSION_TTL", "60");
    shell.ok(&["--url", "json:a.json?ttl=none", "create", "user1", "{}"]);
    shell.ok(&["--url", "json:a.json", "create", "user2", "{}"]);
    let expiry = |key| shell.json(&["--url", "json:a.json", "list", key])[0]["expires_at"].clone();
    assert!(expiry("user1").is_null());
    assert!(expiry("user2").is_string());
    let key = shell.ok(&["keys", "aes"]);
    let shell = shell.set("JAM_SESSION_AES_SECRET", &key);
    shell.ok(&["--url", "json:c.json?is_session_crypt=true", "create", "user1", "{}"]);
}

#[test]
fn a_user_in_a_url_on_the_command_line_is_not_replaced_by_the_environment() {
    let server = Server::options(Kind::New).requirepass("hunter2").start();
    let address = server.address();
    let wrong = Shell::new().set("JAM_SESSION_PASSWORD", "wrong");
    wrong.ok(&["stats", "--url", &format!("redis://:hunter2@{address}")]);
    wrong.run(&["stats", "--url", &format!("redis://{address}")]).failed(3);
    let right = Shell::new().set("JAM_SESSION_PASSWORD", "hunter2");
    right.ok(&["stats", "--url", &format!("redis://{address}")]);
    right.ok(&["stats", "--url", &format!("redis://default@{address}")]);
}

/// As in the service that has the file.
#[test]
fn the_environment_overrides_the_fields_of_a_config_file() {
    let shell = Shell::new().set("JAM_SESSION_JSON_PATH", "b.json");
    shell.write(
        "jam.toml",
        "[jam.session]\nsession_type = \"json\"\njson_path = \"a.json\"\n",
    );
    shell.ok(&["--config", "jam.toml", "create", "user1", "{}"]);
    assert!(shell.names().contains(&"b.json".to_owned()));
}

#[test]
fn mistakes_of_the_command_line_are_code_2() {
    let shell = Shell::on("json:sessions.json");
    for words in [
        &["crate", "user1", "{}"][..],
        &["create", "user1"],
        &["create", "user1", "{", "--json"],
        &["create", "user1", "[]"],
        &["create", "", "{}"],
        &["get"],
        &["update", "user1:x"],
        &["update", "-", "-"],
        &["revoke", "user1"],
        &["revoke", "user1", "handle", "--all"],
        &["get", "--id-file", "nowhere"],
        &["get", "-"],
        &["stats", "--config", "a.toml", "--url", "json:b"],
        &["completions", "tcsh"],
        &["migrate", "json:a"],
    ] {
        shell.run(words).failed(2);
    }
    says(&shell.run(&["crate", "user1", "{}"]).failed(2), &["create"]);
    assert!(
        shell.names().is_empty() || shell.names() == ["sessions.json", "sessions.json.lock"],
        "{:?}",
        shell.names()
    );
}

#[test]
fn mistakes_of_the_configuration_are_code_3() {
    let shell = Shell::new();
    shell.write(
        "wrong.toml",
        "[jam.session]\nsession_type = \"json\"\njsn_path = \"x\"\n",
    );
    says(
        &shell.run(&["stats", "--config", "wrong.toml"]).failed(3),
        &["wrong.toml", "jsn_path", "json_path"],
    );
    says(
        &shell.run(&["stats", "--config", "nowhere.toml"]).failed(3),
        &["nowhere.toml"],
    );
    says(&shell.run(&["stats", "--url", "jsn:x"]).failed(3), &["jsn", "json"]);
    says(
        &shell.run(&["stats", "--url", "sessions.json"]).failed(3),
        &["json:sessions.json"],
    );
}

#[test]
fn looking_at_a_store_that_is_not_there_makes_none() {
    for store in ["json:typo.json", "json-dir:typo", "sqlite:typo.db"] {
        let shell = Shell::on(store);
        for words in [&["stats"][..], &["list", "a"], &["get", "a:b"], &["sweep"]] {
            says(&shell.run(words).failed(4), &["no store at typo"]);
        }
        assert!(shell.names().is_empty(), "{store}: {:?}", shell.names());
    }
}

#[test]
fn looking_for_a_default_directory_that_is_not_there_makes_none() {
    let shell = Shell::on("json-dir:");
    let shell = shell.set("TMPDIR", ".").set("TEMP", ".").set("TMP", ".");
    says(&shell.run(&["stats"]).failed(4), &["no store at ./jam-sessions"]);
    assert!(shell.names().is_empty(), "{:?}", shell.names());
    shell.ok(&["create", "user1", "{}"]);
    assert_eq!(shell.json(&["stats"])["sessions"], 1);
}

#[test]
fn looking_at_a_table_that_is_not_there_makes_none() {
    let shell = Shell::on("sqlite:sessions.db?sqlite_table=sesions");
    shell.ok(&["--url", "sqlite:sessions.db", "create", "user1", "{}"]);
    shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
    for words in [
        &["stats"][..],
        &["list", "user1"],
        &["get", "user1:b"],
        &["sweep"],
        &["clear", "user1"],
        &["migrate", "sqlite:sessions.db?sqlite_table=sesions", "json:b.json"],
        &[
            "migrate",
            "json:a.json",
            "sqlite:sessions.db?sqlite_table=sesions",
            "--dry-run",
            "--verify",
        ],
    ] {
        let error = shell.run(words).failed(4);
        says(&error, &["no table \"sesions\"", "jam_sessions", "is the name right?"]);
    }
    let ran = shell.run(&["doctor"]);
    assert_eq!(ran.code, 7);
    says(&ran.out, &["no table \"sesions\"", "jam_sessions"]);
    // A rehearsal needs no target.
    let to = "sqlite:sessions.db?sqlite_table=fresh";
    assert_eq!(
        shell.ok(&["migrate", "json:a.json", to, "--dry-run"]),
        "1 session and 0 grace notes would be copied"
    );
    // Nothing of it has made a table: `create` does, and then it is the second.
    shell.ok(&["create", "user1", "{}"]);
    let error = shell
        .run(&["stats", "--url", "sqlite:sessions.db?sqlite_table=x"])
        .failed(4);
    says(&error, &["those it has: jam_sessions, sesions\n"]);
    assert_eq!(shell.json(&["stats"])["sessions"], 1);
}

#[test]
fn a_store_that_is_away_or_in_use_is_code_4() {
    let server = Server::start(Kind::New);
    let shell = Shell::on(&server.url());
    server.shut_down();
    says(&shell.run(&["stats"]).failed(4), &["unavailable"]);

    let shell = Shell::on("json:sessions.json");
    shell.ok(&["create", "user1", "{}"]);
    let store = jam::json::JsonFile::options(shell.path("sessions.json"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _held = runtime.block_on(store.open()).unwrap();
    says(&shell.run(&["stats"]).failed(4), &["open already"]);
}

#[test]
fn data_that_does_not_open_is_code_5() {
    let shell = Shell::new();
    let (old, new) = (shell.ok(&["keys", "aes"]), shell.ok(&["keys", "aes"]));
    let url = "json:sessions.json?is_session_crypt=true";
    let shell = shell.set("JAM_CONFIG", url).set("JAM_SESSION_AES_SECRET", &old);
    let id = shell.ok(&["create", "user1", "{}"]);
    // The id opens with the second key of the ring.
    let path = shell.path("sessions.json");
    let shell = shell.set("JAM_SESSION_AES_SECRET", &format!("{new},{old}"));
    assert_eq!(shell.ok(&["get", &id]), "{}");
    // Data that nobody sealed does not open, and a damaged file is none.
    block_on(async {
        let store = store(&format!("json:{}", text(&path))).await;
        let entry = store.scan(None, 1).await.unwrap().entries.remove(0);
        let unsealed = Record::new(r#"{"n":"hunter2"}"#, entry.expires_at);
        store.replace(&entry.id, None, &unsealed).await.unwrap();
        store.close().await.unwrap();
    });
    assert!(!shell.run(&["get", &id]).failed(5).contains("hunter2"));
    std::fs::write(
        &path,
        std::fs::read_to_string(&path).unwrap().replace("expires", "expirez"),
    )
    .unwrap();
    shell.run(&["get", &id]).failed(5);
}

#[test]
fn a_full_key_is_code_6() {
    let shell = Shell::on("json:sessions.json?max_sessions=1&when_full=refuse");
    shell.ok(&["create", "user1", "{}"]);
    shell.run(&["create", "user1", "{}"]).failed(6);
}

#[test]
fn no_mistake_shows_an_id_a_password_or_data() {
    let shell = Shell::on("json:sessions.json");
    let id = shell.ok(&["create", "user1", "{}"]);
    let secret = id.rsplit('.').next().unwrap();
    let key = shell.ok(&["keys", "aes"]);
    for words in [
        &["get", &id, &id][..],
        &["get", &format!("--{id}")],
        &[id.as_str()],
        &["delete", "--id-file", "nowhere", &id],
        &["update", &id],
        &["update", &id, r#"{"password": hunter2}"#],
        &["stats", "--url", "redis://:hunter2@127.0.0.1:1/0"],
        &["stats", "--url", "jsn://:hunter2@127.0.0.1"],
        &["stats", "--url", "redis://:hunter2@127.0.0.1/0?x=hunter2"],
        &["stats", "--url", "redis://:Xk?hunter2=3z@127.0.0.1:1/0"],
        &["list", "hunter2", "hunter2"],
        &["get", "--id-file", &id],
        &["update", "--id-file", &id, "{}"],
        &["get", "--id-file", &format!("J$_{secret}")],
        &["get", "--id-file", &key],
        &["stats", "--config", &id],
        &["stats", "--config", &key],
        &["stats", "--config", "redis://:hunter2@127.0.0.1:1/0"],
        &["stats", "--config", "redis//user:hunter2@127.0.0.1/0"],
        &["migrate", "redis//:hunter2@127.0.0.1/0", "json:b.json"],
        &[
            "migrate",
            "json:sessions.json",
            "json:b.json",
            "--checkpoint",
            "redis://:hunter2@127.0.0.1/0",
        ],
    ] {
        let ran = shell.run(words);
        assert_ne!(ran.code, 0);
        assert!(!ran.err.contains(&key), "{ran:?}");
        assert!(!ran.err.contains(secret) && !ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_url_in_place_of_a_config_file_is_told_where_it_belongs() {
    let error = Shell::new().run(&["stats", "--config", "json:sessions.json"]).failed(3);
    says(&error, &["is a URL", "--url"]);
    let shell = Shell::new();
    shell.write("a:b@c.toml", "[jam.session]\nsession_type = \"memory\"\nx = 1\n");
    // A file of an odd name is a file, and is named.
    says(
        &shell.run(&["stats", "--config", "./a:b@c.toml"]).failed(3),
        &["a:b@c.toml"],
    );
    says(
        &shell.run(&["stats", "--config", "missing.toml"]).failed(3),
        &["missing.toml"],
    );
}

#[test]
fn help_and_version_are_on_standard_output() {
    let shell = Shell::new();
    assert_eq!(shell.ok(&["--version"]), concat!("jam ", env!("CARGO_PKG_VERSION")));
    let help = shell.ok(&["--help"]);
    says(&help, &["migrate", "JAM_CONFIG", "Exit codes"]);
    says(
        &shell.ok(&["help", "migrate"]),
        &["--verify", "--dry-run", "--checkpoint"],
    );
    let ran = shell.run(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
}
