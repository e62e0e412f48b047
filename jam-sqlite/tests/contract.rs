//! What the store promises beyond the contract that the conformance suite checks.
#![cfg(test)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use jam_core::{ErrorKind, Load, ManualClock, Record, Registry, Rename, Renewal, SessionStore, StoreConfig, Timestamp};
use jam_sqlite::{Durability, SqliteFactory, SqliteOptions, SqliteStore};
use support::*;

#[tokio::test]
async fn anyone_with_sqlite3_can_read_the_sessions() {
    let place = Place::new();
    let store = place.open().await;
    let expires_at = Some(Timestamp::from_secs(5_000));
    let admin = Record::new(r#"{"role": "admin", "n": [1, 2]}"#, expires_at);
    store.insert(&id("user1", "a"), &admin).await.expect("insert");
    store
        .insert(&id("user2", "b"), &record(r#"{"role":"guest"}"#))
        .await
        .expect("insert");
    store
        .insert(&id("user3", "c"), &record(b"\x00sealed"))
        .await
        .expect("insert");
    let roles = "SELECT data ->> '$.role' FROM jam_sessions WHERE typeof(data) = 'text' ORDER BY session_key";
    assert_eq!(place.query(roles).await, ["admin", "guest"]);
    let of_user = "SELECT session_key || ' ' || session_id || ' ' || data || ' ' || expires_at FROM jam_sessions \
                   WHERE session_key = 'user1'";
    assert_eq!(
        place.query(of_user).await,
        [r#"user1 a {"role": "admin", "n": [1, 2]} 5000000"#]
    );
    assert_eq!(
        place
            .query("SELECT typeof(data) FROM jam_sessions WHERE session_key = 'user3'")
            .await,
        ["blob"]
    );
}

#[tokio::test]
async fn an_edit_by_hand_counts_as_a_change() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store.insert(&a, &record(r#"{"role":"user"}"#)).await.expect("insert");
    let seen = version(&store, &a).await;
    place
        .query(r#"UPDATE jam_sessions SET data = '{"role":"banned"}' WHERE session_key = 'user1'"#)
        .await;
    let late = store.replace(&a, Some(&seen), &record(r#"{"role":"admin"}"#)).await;
    assert_eq!(late.expect_err("changed").kind(), ErrorKind::Conflict);
    assert_eq!(payload(&store, &a).await.expect("there"), br#"{"role":"banned"}"#);
}

#[tokio::test]
async fn keys_and_ids_are_told_apart_byte_by_byte_nul_included() {
    let place = Place::new();
    let store = place.open().await;
    let places = [
        ("a", "b"),
        ("a\0", "b"),
        ("a", "\0b"),
        ("A", "b"),
        ("a", "b~\0"),
        ("a", "b "),
        ("é", "b"),
        ("e\u{301}", "b"),
    ];
    for (number, (key, id)) in places.iter().enumerate() {
        let record = record(format!("{{\"n\":{number}}}"));
        store.insert(&support::id(key, id), &record).await.expect("insert");
    }
    for (number, (key, id)) in places.iter().enumerate() {
        let found = payload(&store, &support::id(key, id)).await;
        assert_eq!(found, Some(format!("{{\"n\":{number}}}").into_bytes()));
    }
    assert_eq!(all(&store).await.len(), places.len());
    assert_eq!(store.clear(&key("a")).await.expect("clear"), 4);
    assert_eq!(all(&store).await.len(), 4);
}

#[tokio::test]
async fn only_sessions_are_counted_when_a_key_is_cleared() {
    let place = Place::new();
    let store = place.open().await;
    for name in ["a", "a~", "b\0~", "c~\0"] {
        store.insert(&id("user1", name), &record("{}")).await.expect("insert");
    }
    let expired = Record::new("{}", Some(Timestamp::from_secs(1)));
    store.insert(&id("user1", "over"), &expired).await.expect("insert");
    assert_eq!(store.clear(&key("user1")).await.expect("clear"), 2);
    assert_eq!(place.query("SELECT count(*) FROM jam_sessions").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writes_that_share_a_commit_each_is_decided_by_itself() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    for name in ["swapped", "moved", "taken", "touched", "removed"] {
        store.insert(&id("user1", name), &record("{}")).await.expect("insert");
    }
    let stale = version(&store, &id("user1", "swapped")).await;
    let (current, there) = (stale.clone(), id("user1", "there"));
    for _ in 0..20 {
        let (swapped, moved, taken) = (id("user1", "swapped"), id("user1", "moved"), id("user1", "taken"));
        let (gone, other, free) = (id("user1", "gone"), record("{\"x\":1}"), record("{}"));
        let (away, back) = (
            Rename::new(&moved, &current, &there, &free),
            Rename::new(&moved, &current, &taken, &free),
        );
        let touched = id("user1", "touched");
        // All are sent before the first is answered.
        let (first, twice, none, renamed, blocked, kept, missing, fresh) = tokio::join!(
            store.replace(&swapped, Some(&stale), &other),
            store.insert(&taken, &other),
            store.replace(&gone, None, &other),
            store.rename(away),
            store.rename(back),
            store.touch(&touched, Timestamp::from_secs(9_000)),
            store.touch(&gone, Timestamp::from_secs(9_000)),
            store.remove(&gone),
        );
        first.expect("the version is the current one");
        assert_eq!(twice.expect_err("taken").kind(), ErrorKind::AlreadyExists);
        assert_eq!(none.expect_err("gone").kind(), ErrorKind::NotFound);
        renamed.expect("it is free");
        // Whichever came first: there was nothing to move any more, or the place was taken.
        assert!(matches!(
            blocked.expect_err("refused").kind(),
            ErrorKind::NotFound | ErrorKind::AlreadyExists
        ));
        assert!(kept.expect("touch") && !missing.expect("touch") && !fresh.expect("remove"));
        let again = store.replace(&swapped, Some(&stale), &other).await;
        assert_eq!(again.expect_err("changed").kind(), ErrorKind::Conflict);
        // And everything back to where it was.
        store.replace(&swapped, None, &record("{}")).await.expect("replace");
        let back = store.rename(Rename::new(&there, &current, &moved, &free));
        back.await.expect("rename");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_inserts_at_once_each_place_takes_one_and_refuses_the_others() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let expired = Record::new("{}", Some(Timestamp::from_secs(1)));
    store.insert(&id("user1", "7"), &expired).await.expect("insert");
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let id = id("user1", &(number % 24).to_string());
                store.insert(&id, &record(number.to_string())).await
            })
        })
        .collect();
    let mut inserted = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(()) => inserted += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
        }
    }
    assert_eq!(inserted, 24);
    assert_eq!(all(&store).await.len(), 24);
}

#[tokio::test]
async fn a_renewal_is_made_when_due_and_changes_no_version() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store
        .insert(&a, &Record::new("{}", Some(Timestamp::from_secs(2_000))))
        .await
        .expect("insert");
    let seen = version(&store, &a).await;
    let renewal = Renewal::new(Timestamp::from_secs(3_000), Timestamp::from_secs(2_500));
    let expiry = "SELECT expires_at FROM jam_sessions";
    store
        .load(&a, Load::new().renew(renewal))
        .await
        .expect("load")
        .expect("there");
    assert_eq!(place.query(expiry).await, ["3000000"]);
    let early = Renewal::new(Timestamp::from_secs(4_000), Timestamp::from_secs(2_500));
    store
        .load(&a, Load::new().renew(early))
        .await
        .expect("load")
        .expect("there");
    assert_eq!(place.query(expiry).await, ["3000000"]);
    store
        .replace(&a, Some(&seen), &record("{}"))
        .await
        .expect("the version stayed");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    assert_eq!(place.names(), ["sessions.db", "sessions.db-shm", "sessions.db-wal"]);
    for name in place.names() {
        let mode = std::fs::metadata(place.folder.path().join(&name))
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_closed_store_is_one_file_and_takes_no_calls() {
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    store.close().await.expect("close again");
    assert_eq!(place.names(), ["sessions.db"]);
    for error in [
        store.load(&id("user1", "a"), Load::new()).await.err(),
        store.insert(&id("user1", "b"), &record("{}")).await.err(),
        store.list(&key("user1")).await.err(),
        store.remove_expired(Timestamp::from_secs(1)).await.err(),
    ] {
        let error = error.expect("closed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            !error.outcome_unknown() && error.message().contains("closed"),
            "{error}"
        );
    }
    assert_eq!(all(&place.open().await).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_asked_for_before_a_close_is_done() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let writes: Vec<_> = (0..200)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.insert(&id("user1", &number.to_string()), &record("{}")).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await.expect("close");
    let mut acknowledged = 0;
    for write in writes {
        match write.await.expect("no panic") {
            Ok(()) => acknowledged += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(!error.outcome_unknown(), "{error}");
            }
        }
    }
    assert_eq!(all(&place.open().await).await.len(), acknowledged);
}

#[tokio::test]
async fn several_tables_in_one_file_do_not_meet() {
    let place = Place::new();
    let (one, other) = (
        place.open().await,
        place.options().table("Other_1").open().await.expect("open"),
    );
    one.insert(&id("user1", "a"), &record("{\"in\":1}"))
        .await
        .expect("insert");
    other
        .insert(&id("user1", "a"), &record("{\"in\":2}"))
        .await
        .expect("insert");
    assert_eq!(one.clear(&key("user1")).await.expect("clear"), 1);
    assert_eq!(payload(&other, &id("user1", "a")).await.expect("there"), b"{\"in\":2}");
    assert_eq!(
        place.query("SELECT table_name FROM jam_schema ORDER BY 1").await,
        ["jam_sessions", "Other_1"]
    );
}

#[tokio::test]
async fn two_databases_in_memory_are_two() {
    let one = SqliteOptions::in_memory().open().await.expect("open");
    let other = SqliteOptions::in_memory().open().await.expect("open");
    one.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    assert!(payload(&one, &id("user1", "a")).await.is_some());
    assert!(payload(&other, &id("user1", "a")).await.is_none());
}

#[tokio::test]
async fn a_config_opens_a_store_by_name() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("app.db").display().to_string();
    let mut registry = Registry::new();
    registry.register(SqliteFactory);
    for url in [
        format!("sqlite:{path}?durability=os&sqlite_table=logins&busy_timeout=2.5"),
        format!("sqlite://{path}"),
        "sqlite::memory:".to_owned(),
    ] {
        let config = StoreConfig::from_url(&url).expect("url");
        let store = registry.open("sqlite", config).await.expect("open");
        assert_eq!(store.name(), "sqlite");
        store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
        store.close().await.expect("close");
    }
    assert_eq!(query(path.as_ref(), "SELECT count(*) FROM logins").await, ["1"]);
}

#[tokio::test]
async fn what_must_exist_is_not_made() {
    let place = Place::new();
    let looking = || place.options().must_exist(true);
    let missing = |opened: jam_core::Result<SqliteStore>| {
        let error = opened.expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        error.to_string()
    };
    missing(looking().open().await);
    assert!(place.names().is_empty(), "{:?}", place.names());
    // A file without a table is as good as none, and stays as it is.
    std::fs::write(place.path(), "").expect("write");
    assert!(missing(looking().open().await).contains("none at all"));
    assert_eq!(std::fs::metadata(place.path()).expect("there").len(), 0);
    place.open().await.close().await.expect("close");
    let schema = "SELECT name FROM sqlite_schema UNION ALL SELECT table_name FROM jam_schema ORDER BY 1";
    let before = place.query(schema).await;
    let said = missing(looking().table("logins").open().await);
    assert!(said.contains("logins") && said.contains("jam_sessions"), "{said}");
    assert_eq!(place.query(schema).await, before);
    let store = looking().open().await.expect("it is there");
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");

    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("app.db").display().to_string();
    let mut registry = Registry::new();
    registry.register(SqliteFactory);
    let config = StoreConfig::from_url(&format!("sqlite:{path}?must_exist=true")).expect("url");
    let error = registry.open("sqlite", config).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_mistake_in_the_config_is_named_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("app.db").display().to_string();
    let mut registry = Registry::new();
    registry.register(SqliteFactory);
    for (query, named) in [
        ("durability=fsync", "`durability`"),
        ("sqlite_tabel=x", "`sqlite_table`"),
        ("sqlite_table=a%20b", "table's name"),
        ("sqlite_path=x", "`sqlite_path`"),
        ("busy_timeout=-1", "`busy_timeout`"),
    ] {
        let config = StoreConfig::from_url(&format!("sqlite:{path}?{query}")).expect("url");
        let error = registry.open("sqlite", config).await.expect_err(query);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let readers = SqliteStore::options(&path).readers(0).open().await.expect_err("none");
    assert_eq!(readers.kind(), ErrorKind::Config);
    assert_eq!(std::fs::read_dir(folder.path()).expect("read_dir").count(), 0);
}

#[test]
fn without_tokio_it_says_so() {
    let opening = SqliteOptions::in_memory().open();
    let error = futures_lite::future::block_on(opening).expect_err("no runtime");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("tokio"));
}

#[test]
fn after_its_runtime_has_ended_the_store_says_so() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let store = runtime.block_on(place.open());
    drop(runtime);
    let loaded = futures_lite::future::block_on(store.load(&id("user1", "a"), Load::new()));
    let error = loaded.expect_err("ended");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("runtime"), "{error}");
    futures_lite::future::block_on(store.close()).expect("close");
}

#[tokio::test]
async fn a_new_file_is_jams_own_with_a_write_ahead_log_and_can_shrink() {
    let place = Place::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1)));
    let options = place
        .options()
        .clock(clock)
        .durability(Durability::Sync)
        .readers(4)
        .busy_timeout(Duration::from_secs(1));
    let store = options.open().await.expect("open");
    store.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    let header = "PRAGMA journal_mode; PRAGMA application_id; PRAGMA auto_vacuum";
    assert_eq!(place.query(header).await, ["wal", "1784769841", "2"]);
}
