//! The JSON file as files: what lies on the disk, who may open it, what an operator sees.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::file_support::{Place, all, id, payload, record};
use jam_core::{ErrorKind, Load, Registry, SessionStore, Severity, StoreConfig, StoreFactory};
use jam_json::{JsonFile, JsonFileFactory};
use serde_json::{Value, json};

#[tokio::test]
async fn closing_leaves_one_document_that_any_json_reader_reads() {
    let place = Place::new();
    let store = place.open().await;
    store
        .insert(&id("user1", "a"), &record(r#"{"role":"admin"}"#))
        .await
        .expect("insert");
    store
        .insert(&id("user2", "b"), &record("sealed"))
        .await
        .expect("insert");
    store.close().await.expect("close");
    assert_eq!(place.names(), ["sessions.json", "sessions.json.lock"]);
    let text = std::fs::read_to_string(place.path()).expect("read");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let sessions = document["sessions"].as_array().expect("sessions");
    assert_eq!(sessions.len(), 2);
    assert!(sessions.contains(&json!({"key": "user1", "id": "a", "data": {"role": "admin"}})));
    assert!(sessions.contains(&json!({"key": "user2", "id": "b", "data_base64": "c2VhbGVk"})));
    // A session on each line, so that a diff shows sessions.
    assert_eq!(text.lines().filter(|line| line.contains("\"key\"")).count(), 2);
}

#[tokio::test]
async fn opening_and_closing_without_a_write_changes_nothing() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    let before = std::fs::read(place.path()).expect("read");
    for closing in [true, false] {
        let store = place.open().await;
        assert!(store.recovery().is_empty());
        assert!(payload(&store, &id("user1", "a")).await.is_some());
        if closing {
            store.close().await.expect("close");
        }
        drop(store);
        assert_eq!(place.names(), ["sessions.json", "sessions.json.lock"]);
        assert_eq!(std::fs::read(place.path()).expect("read"), before);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    store.compact().await.expect("compact");
    assert_eq!(place.names().len(), 3);
    for name in place.names() {
        let mode = place
            .folder
            .path()
            .join(&name)
            .metadata()
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn one_at_a_time_can_have_the_file_whatever_it_is_called() {
    let place = Place::new();
    let store = place.open().await;
    let folder = place.folder.path();
    let mut ways = vec![place.path(), folder.join(".").join("sessions.json")];
    #[cfg(unix)]
    {
        std::fs::create_dir(folder.join("sub")).expect("sub");
        std::os::unix::fs::symlink(folder, folder.join("sub").join("way")).expect("symlink");
        ways.push(folder.join("sub").join("way").join("sessions.json"));
    }
    for way in &ways {
        let error = JsonFile::open(way).await.expect_err("open already");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("sessions.json is open already"), "{error}");
    }
    store.insert(&id("u", "a"), &record("{}")).await.expect("goes on");
    drop(store);
    let store = JsonFile::open(&ways[1]).await.expect("free again");
    assert_eq!(all(&store).await.len(), 1);
}

/// A child process holds copies of all open files from its birth to its first instruction, the lock's among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_close_lets_go_of_the_file_while_the_process_starts_others() {
    let starting = Arc::new(AtomicBool::new(true));
    let starters: Vec<_> = (0..3)
        .map(|_| {
            let starting = Arc::clone(&starting);
            std::thread::spawn(move || {
                while starting.load(Ordering::Relaxed) {
                    let status = Command::new("true").status().expect("a child");
                    assert!(status.success());
                }
            })
        })
        .collect();
    let place = Place::new();
    for _ in 0..300 {
        place.open().await.close().await.expect("close");
    }
    starting.store(false, Ordering::Relaxed);
    for starter in starters {
        starter.join().expect("no panic");
    }
}

#[tokio::test]
async fn two_files_are_two_stores() {
    let place = Place::new();
    let one = place.open().await;
    let other = JsonFile::open(place.folder.path().join("sessions.json.journal"))
        .await
        .expect("another");
    let third = JsonFile::open(place.folder.path().join("sessions"))
        .await
        .expect("a third");
    one.insert(&id("u", "a"), &record("{\"n\":1}")).await.expect("insert");
    other.insert(&id("u", "a"), &record("{\"n\":2}")).await.expect("insert");
    assert_eq!(payload(&third, &id("u", "a")).await, None);
    drop(third);
    drop((one, other));
    assert_eq!(
        payload(&place.open().await, &id("u", "a")).await,
        Some(b"{\"n\":1}".to_vec())
    );
}

#[tokio::test]
async fn a_closed_store_refuses_and_may_be_closed_again() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    store.close().await.expect("again");
    let a = id("u", "a");
    let errors = [
        store.load(&a, Load::new()).await.expect_err("load"),
        store.insert(&a, &record("{}")).await.expect_err("insert"),
        store.clear(a.key()).await.expect_err("clear"),
        store.list(a.key()).await.expect_err("list"),
        store.scan(None, 1).await.expect_err("scan"),
        store
            .remove_expired(jam_core::Timestamp::ZERO)
            .await
            .expect_err("sweep"),
        store.compact().await.expect_err("compact"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.outcome_unknown());
    }
    assert!(
        payload(&place.open().await, &a).await.is_some(),
        "the lock is free although the closed store is alive"
    );
}

/// Removes the journals of a store that is open.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_meets_a_close_is_made_or_refused_and_never_unknown() {
    for _ in 0..150 {
        let place = Place::new();
        let store = Arc::new(place.open().await);
        let tasks = [0, 1, 2, 3].map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut number = 0;
                loop {
                    let session = id("u", &format!("{task}-{number}"));
                    if let Err(error) = store.insert(&session, &record("{}")).await {
                        return error;
                    }
                    number += 1;
                }
            })
        });
        tokio::task::yield_now().await;
        store.close().await.expect("close");
        for task in tasks {
            let error = task.await.expect("task");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(!error.outcome_unknown());
        }
    }
}

/// A clock that panics when the writer looks at it.
#[derive(Debug)]
struct BrokenClock;

impl jam_core::Clock for BrokenClock {
    fn now(&self) -> jam_core::Timestamp {
        assert_ne!(std::thread::current().name(), Some("jam-json"), "on purpose");
        jam_core::Timestamp::from_secs(1_000)
    }
}

#[tokio::test]
async fn after_a_panic_of_the_writer_nobody_is_told_that_the_store_was_closed() {
    let place = Place::new();
    let clock = Arc::new(BrokenClock);
    let store = place.options().clock(clock).open().await.expect("open");
    let first = store.insert(&id("u", "a"), &record("{}")).await.expect_err("panicked");
    assert!(first.outcome_unknown());
    let next = store.insert(&id("u", "b"), &record("{}")).await.expect_err("gone");
    assert_eq!(
        (first.kind(), next.kind()),
        (ErrorKind::Unexpected, ErrorKind::Unexpected)
    );
    let closed = store.close().await.expect_err("nobody has closed the files");
    assert_eq!(closed.kind(), ErrorKind::Unexpected);
}

#[tokio::test]
async fn what_is_asked_for_before_a_drop_is_durable() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.insert(&id("u", &format!("{number}")), &record("{}")).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("task").expect("insert");
    }
    drop(store);
    assert_eq!(all(&place.open().await).await.len(), 100);
}

#[tokio::test]
async fn a_path_that_cannot_be_a_sessions_file_is_a_config_error() {
    let place = Place::new();
    let folder = place.folder.path();
    for path in [
        folder.to_owned(),
        folder.join("missing").join("sessions.json"),
        "/".into(),
        "".into(),
    ] {
        let error = JsonFile::open(&path).await.expect_err("no file");
        assert_eq!(error.kind(), ErrorKind::Config, "{}", path.display());
    }
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let foreign = [
        (r#"{"name":"package.json"}"#, ErrorKind::Config),
        ("[1,2,3]", ErrorKind::Config),
        ("null", ErrorKind::Config),
        (r#"{"_default":{"1":{"title":"a book"}}}"#, ErrorKind::Config),
        (r#"{"_default":{},"books":{}}"#, ErrorKind::Config),
        ("hello", ErrorKind::Corrupt),
        ("\u{0}", ErrorKind::Corrupt),
    ];
    for (content, kind) in foreign {
        let place = Place::new();
        std::fs::write(place.path(), content).expect("write");
        let error = place.options().open().await.expect_err("foreign");
        assert_eq!(error.kind(), kind, "{content}: {error}");
        assert!(error.message().contains("sessions.json"));
        assert_eq!(std::fs::read_to_string(place.path()).expect("read"), content);
        assert_eq!(place.names(), ["sessions.json", "sessions.json.lock"]);
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_store_but_not_one_that_was_used_before() {
    let place = Place::new();
    std::fs::write(place.path(), "").expect("write");
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    drop(store);
    let store = place.open().await;
    assert_eq!(all(&store).await.len(), 1);
    store.close().await.expect("close");
    std::fs::write(place.path(), "").expect("truncate");
    let error = place.options().open().await.expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn the_factory_reads_path_and_durability_from_config_and_url() {
    let place = Place::new();
    let path = place.path().display().to_string();
    let mut registry = Registry::new();
    registry.register(JsonFileFactory);
    let fields = json!({"json_path": path, "durability": "os", "accept_edited_document": false});
    let fields = fields.as_object().expect("object").clone();
    let store = registry
        .open("json", StoreConfig::new("jam.toml", fields))
        .await
        .expect("open");
    assert_eq!(store.name(), "json");
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    let config = StoreConfig::from_url(&format!("json:{path}")).expect("url");
    let store = registry.open("json", config).await.expect("open");
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_mistake_in_the_config_is_named_and_leaves_no_files() {
    let place = Place::new();
    let path = place.path().display().to_string();
    let mut registry = Registry::new();
    registry.register(JsonFileFactory);
    for (query, named) in [
        ("durabilty=os", "durability"),
        ("durability=fast", "\"sync\" or \"os\""),
        ("json_path=x", "json_path"),
        ("accept_edited_document=maybe", "true or false"),
        ("import_jamlib=maybe", "true or false"),
    ] {
        let config = StoreConfig::from_url(&format!("json:{path}?{query}")).expect("url");
        let error = registry.open("json", config).await.expect_err("mistake");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(named), "{error}");
    }
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn the_doctor_tries_it_out_unless_its_service_has_it_open() {
    let place = Place::new();
    let path = place.path().display().to_string();
    let config = || StoreConfig::from_url(&format!("json:{path}")).expect("url");
    let subjects = async || {
        let found = JsonFileFactory.diagnose(&mut config()).await.expect("found");
        let worst = found.iter().map(|finding| finding.severity).max();
        let subjects: Vec<_> = found.into_iter().map(|finding| finding.subject.into_owned()).collect();
        (subjects.join(", "), worst.expect("something"))
    };
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    assert_eq!(
        subjects().await,
        ("durability, a write, permissions".to_owned(), Severity::Fine)
    );
    let store = place.open().await;
    assert_eq!(
        subjects().await,
        ("durability, opening, permissions".to_owned(), Severity::Warning)
    );
    store.close().await.expect("close");
    std::fs::write(place.path(), "{").expect("damage");
    assert_eq!(subjects().await, ("opening, permissions".to_owned(), Severity::Wrong));
}
