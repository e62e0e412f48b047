//! Moving from one store to another: nothing lost, nothing changed, nothing that ended brought back.

use std::time::Duration;

use jam::{Clock, Record, RecordId, SessionKey, SystemClock, Timestamp};
use jam_test_servers::{Kind, Proxy, Server};
use serde_json::json;

use crate::support::{Ran, Shell, block_on, fill, insert_expired, records, store, url};

pub(crate) fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[test]
fn every_record_arrives_as_it_was_from_each_backend_to_the_next() {
    let shell = Shell::new();
    let servers = [Server::start(Kind::New), Server::start(Kind::Old)];
    let urls = [
        url("json", &shell, "a.json"),
        url("sqlite", &shell, "b.db"),
        servers[0].url(),
        url("json-dir", &shell, "c"),
        servers[1].url(),
        url("json", &shell, "d.json"),
    ];
    fill(&urls[0], 1200);
    let original = records(&urls[0]);
    assert_eq!(original.len(), 1200);
    for pair in urls.windows(2) {
        let said = shell.ok(&["migrate", &pair[0], &pair[1], "--verify"]);
        assert_eq!(
            said,
            "1,176 sessions and 24 grace notes copied, 0 expired meanwhile\n1,176 sessions in FROM, 1,176 sessions in TO: the same"
        );
        assert!(records(&pair[1]) == original, "{}", pair[1].split(':').next().unwrap());
    }
    assert!(!shell.names().contains(&"jam-migration.json".to_owned()));
}

#[test]
fn ids_work_in_the_new_store_encrypted_ones_too() {
    let shell = Shell::new();
    let key = shell.ok(&["keys", "aes"]);
    let shell = shell.set("JAM_SESSION_AES_SECRET", &key);
    let (from, to) = ("json:a.json?is_session_crypt=true", "sqlite:b.db?is_session_crypt=true");
    let id = shell.ok(&["--url", from, "create", "user1", r#"{"n":1}"#]);
    shell.ok(&["migrate", from, to]);
    assert_eq!(shell.ok(&["--url", to, "get", &id]), r#"{"n":1}"#);
}

#[test]
fn a_finished_migration_is_not_run_again_and_brings_nothing_back() {
    let shell = Shell::new();
    let id = shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
    shell.ok(&["migrate", "json:a.json", "sqlite:b.db"]);
    shell.ok(&["--url", "sqlite:b.db", "delete", &id]);
    for _ in 0..2 {
        let error = shell.run(&["migrate", "json:a.json", "sqlite:b.db"]).failed(6);
        says(&error, &["has filled TO", "bring back"]);
    }
    shell.run(&["--url", "sqlite:b.db", "get", &id]).failed(1);
    // The mark is no session, and the next migration does not take it along.
    let stats = shell.json(&["--url", "sqlite:b.db", "stats"]);
    for what in ["sessions", "users", "bytes", "grace_notes"] {
        assert_eq!(stats[what], 0, "{what}");
    }
    assert_eq!(shell.ok(&["--url", "sqlite:b.db", "list", "jam-migration"]), "");
    shell.ok(&["migrate", "sqlite:b.db", "json:c.json"]);
    // Emptied on purpose, it may be filled again.
    shell.ok(&["--url", "sqlite:b.db", "clear", "jam-migration"]);
    shell.ok(&["migrate", "json:a.json", "sqlite:b.db"]);
}

#[cfg(unix)]
#[test]
fn a_target_with_sessions_is_refused_and_left_alone() {
    let shell = Shell::new();
    let id = shell.ok(&["--url", "json:a.json", "create", "user1", r#"{"a":1}"#]);
    let other = shell.ok(&["--url", "json:b.json", "create", "user2", r#"{"b":1}"#]);
    for more in [&[][..], &["--dry-run"]] {
        let words = [&["migrate", "json:a.json", "json:b.json"], more].concat();
        says(&shell.run(&words).failed(6), &["TO holds sessions already"]);
    }
    assert_eq!(shell.ok(&["--url", "json:b.json", "get", &other]), r#"{"b":1}"#);
    shell.run(&["--url", "json:b.json", "get", &id]).failed(1);
}

#[test]
fn a_rehearsal_writes_nothing() {
    let shell = Shell::new();
    let from = url("json", &shell, "a.json");
    fill(&from, 100);
    let before = shell.names();
    let said = shell.ok(&["migrate", &from, "sqlite:b.db", "--dry-run"]);
    assert_eq!(said, "98 sessions and 2 grace notes would be copied");
    assert_eq!(shell.names(), before);
}

#[test]
fn verifying_against_a_target_that_is_not_there_is_no_success() {
    let shell = Shell::new();
    shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
    let before = shell.names();
    for to in ["sqlite:typo.db", "json:typo.json"] {
        let error = shell
            .run(&["migrate", "json:a.json", to, "--dry-run", "--verify"])
            .failed(4);
        says(&error, &["TO: ", "no store at typo"]);
    }
    assert_eq!(shell.names(), before);
}

#[test]
fn verifying_finds_what_is_missing_changed_or_added() {
    let shell = Shell::new();
    let (from, to) = (url("json", &shell, "a.json"), url("sqlite", &shell, "b.db"));
    fill(&from, 20);
    shell.ok(&["migrate", &from, &to]);
    let id = |at: u64| {
        RecordId::new(
            SessionKey::new(format!("user{at}")).unwrap(),
            format!("h{at}.t5o2k9.{at}"),
        )
        .unwrap()
    };
    block_on(async {
        let store = store(&to).await;
        store.remove(&id(4)).await.unwrap();
        store.replace(&id(5), None, &Record::new("{}", None)).await.unwrap();
        let later = Timestamp::from_millis(SystemClock.now().as_millis() + 9_000_000);
        assert!(store.touch(&id(6), later).await.unwrap());
        store.insert(&id(1000), &Record::new("{}", None)).await.unwrap();
        store.close().await.unwrap();
    });
    let ran = shell.run(&["migrate", &from, &to, "--dry-run", "--verify", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (7, "jam: the two stores differ\n"));
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let expected =
        json!({"same": false, "from": 19, "to": 19, "missing": 1, "changed": 1, "other_expiry": 1, "added": 1});
    assert_eq!(found["verified"], expected);
}

#[test]
fn records_that_expire_meanwhile_are_neither_copied_nor_missed() {
    let shell = Shell::new();
    let (from, to) = (url("json", &shell, "a.json"), url("sqlite", &shell, "b.db"));
    insert_expired(&from);
    shell.ok(&["--url", &from, "create", "user2", "{}"]);
    let said = shell.json(&["migrate", &from, &to, "--verify"]);
    assert_eq!(said["copied"]["sessions"], 1);
    assert_eq!(said["verified"]["same"], true);
}

/// So what FROM gave as live may be copied without a look at any clock.
#[test]
fn every_backend_takes_a_record_that_is_over_and_shows_it_to_nobody() {
    let shell = Shell::new();
    let servers = [Server::start(Kind::New), Server::start(Kind::Old)];
    let urls = [
        url("json", &shell, "a.json"),
        url("sqlite", &shell, "b.db"),
        url("json-dir", &shell, "c"),
        servers[0].url(),
        servers[1].url(),
    ];
    for url in urls {
        block_on(async {
            let store = store(&url).await;
            let user = SessionKey::new("user1").unwrap();
            for (id, expires_at) in [("live", None), ("over", Some(1)), ("again", Some(1))] {
                let id = RecordId::new(user.clone(), id).unwrap();
                let record = Record::new("{}", expires_at.map(Timestamp::from_secs));
                store.insert(&id, &record).await.unwrap();
            }
            let listed = store.list(&user).await.unwrap();
            assert_eq!(listed.len(), 1, "{}", store.name());
            assert_eq!(store.scan(None, 9).await.unwrap().entries.len(), 1);
            store.close().await.unwrap();
        });
    }
}

#[test]
fn stores_that_read_ids_or_data_differently_are_refused() {
    let shell = Shell::new();
    let (key, other) = (shell.ok(&["keys", "aes"]), shell.ok(&["keys", "aes"]));
    shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
    let crypt = format!("?is_session_crypt=true&session_aes_secret={key}");
    for (from, to, why) in [
        (
            "json:a.json".to_owned(),
            "json:b.json?layout=jamlib".to_owned(),
            "`layout`",
        ),
        ("json:a.json".to_owned(), format!("json:b.json{crypt}"), "TO encrypts"),
        (format!("json:a.json{crypt}"), "json:b.json".to_owned(), "FROM encrypts"),
        (
            format!("json:a.json{crypt}"),
            format!("json:b.json?is_session_crypt=true&session_aes_secret={other}"),
            "key of FROM",
        ),
        (
            format!("json:a.json{crypt}"),
            format!("json:b.json{crypt}&encrypt_data=false"),
            "`encrypt_data`",
        ),
    ] {
        let error = shell.run(&["migrate", &from, &to]).failed(3);
        says(&error, &[why]);
        assert!(!error.contains(&key) && !error.contains(&other));
    }
    // What a URL says is not replaced by a variable.
    let urls = [
        format!("json:a.json{crypt}"),
        format!("json:b.json?is_session_crypt=true&session_aes_secret={other}"),
    ];
    let mut migration = shell.command(&["migrate", &urls[0], &urls[1]]);
    let ran = Ran::from(migration.env("JAM_SESSION_AES_SECRET", &key).output().unwrap());
    says(&ran.failed(3), &["key of FROM"]);
    // A ring that has more keys opens what the old one sealed.
    let ring = format!("json:b.json?is_session_crypt=true&session_aes_secret={other},{key}");
    shell.ok(&["migrate", &format!("json:a.json{crypt}"), &ring, "--dry-run"]);
}

#[test]
fn one_store_is_not_migrated_into_itself_nor_one_that_is_not_there() {
    let shell = Shell::new();
    shell.ok(&["--url", "json:a.json", "create", "user1", "{}"]);
    says(
        &shell.run(&["migrate", "json:a.json", "json:./a.json"]).failed(2),
        &["same store"],
    );
    says(
        &shell.run(&["migrate", "json:typo.json", "json:b.json"]).failed(4),
        &["no store at typo.json"],
    );
    says(
        &shell
            .run(&["--url", "json:a.json", "migrate", "json:a.json", "json:b.json"])
            .failed(2),
        &["--url"],
    );
    let shell = shell.set("JAM_SESSION_JSON_PATH", "c.json");
    says(
        &shell.run(&["migrate", "json:a.json", "json:b.json"]).failed(3),
        &["JAM_SESSION_JSON_PATH"],
    );
}

#[test]
fn two_migrations_into_one_store_do_not_both_begin() {
    let shell = Shell::new();
    let server = Server::start(Kind::New);
    let (a, b) = (url("json", &shell, "a.json"), url("json", &shell, "b.json"));
    fill(&a, 300);
    fill(&b, 300);
    let to = server.url();
    let first = shell
        .command(&["migrate", &a, &to, "--checkpoint", "1"])
        .spawn()
        .unwrap();
    let second = shell
        .command(&["migrate", &b, &to, "--checkpoint", "2"])
        .spawn()
        .unwrap();
    let codes = [first, second].map(|child| child.wait_with_output().unwrap().status.code().unwrap());
    assert!(codes == [0, 6] || codes == [6, 0], "{codes:?}");
    assert_eq!(records(&to).len(), 300);
}

/// The late one would fill a target that the first has finished, and bring back what ended there since.
#[test]
fn a_second_run_of_a_migration_is_refused_while_the_first_is_at_work() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("sqlite", &shell, "a.db");
    fill(&from, 2000);
    let proxy = Proxy::start(server.address());
    proxy.delay(Duration::from_millis(100)..=Duration::from_millis(100));
    let to = format!("{}?response_timeout=60", proxy.url());
    let words = ["migrate", &from, &to];
    let mut first = shell.command(&words).spawn().unwrap();
    while server.command(&["EXISTS", "sessions:jam-migration"]).int() == 0 {
        std::thread::yield_now();
    }
    // Held where it is for as long as the second takes.
    proxy.black_hole();
    let error = shell.run(&words).failed(6);
    says(&error, &["another run", "jam-migration.json"]);
    assert!(
        first.try_wait().unwrap().is_none(),
        "over before the second was refused"
    );
    proxy.heal();
    assert_eq!(Ran::from(first.wait_with_output().unwrap()).code, 0);
    assert!(records(&server.url()) == records(&from));
}

#[test]
fn a_store_that_goes_away_is_named_and_the_rest_follows_later() {
    let shell = Shell::new();
    let server = Server::start(Kind::New);
    let from = url("json", &shell, "a.json");
    fill(&from, 100);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = shell.run(&["migrate", &from, &server.url()]).failed(4);
    says(&error, &["TO: "]);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    shell.ok(&["migrate", &from, &server.url()]);
    assert_eq!(records(&server.url()).len(), 100);
}

#[test]
fn an_id_that_somebody_else_takes_in_an_empty_target_stops_the_migration() {
    let (shell, server) = (Shell::new(), Server::start(Kind::New));
    let from = url("json", &shell, "a.json");
    fill(&from, 6000);
    let proxy = Proxy::start(server.address());
    proxy.delay(Duration::from_millis(100)..=Duration::from_millis(100));
    let child = shell.command(&["migrate", &from, &proxy.url()]).spawn().unwrap();
    while server.command(&["EXISTS", "sessions:jam-migration"]).int() == 0 {
        std::thread::yield_now();
    }
    block_on(async {
        let store = store(&server.url()).await;
        // One that is not there yet.
        for at in (4..6000).rev().step_by(10) {
            let key = SessionKey::new(format!("user{at}")).unwrap();
            let id = RecordId::new(key, format!("h{at}.t5o2k9.{at}")).unwrap();
            if store.insert(&id, &Record::new("{}", None)).await.is_ok() {
                return;
            }
        }
        panic!("all of it was copied before");
    });
    let error = Ran::from(child.wait_with_output().unwrap()).failed(6);
    says(&error, &["TO holds another session under an id of FROM"]);
}
