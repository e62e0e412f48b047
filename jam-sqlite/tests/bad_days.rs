//! A full disk, a read-only file, a file that is gone, a lock that is held: clear errors, nothing acknowledged is lost,
//! and work goes on once the cause is gone.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jam_core::{ErrorKind, Load, Record, Rename, SessionStore, Timestamp};
use jam_sqlite::{Durability, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqlitePool};
use support::*;

/// A store on an application's only connection, on which the size of the database can be limited.
async fn limited() -> (Place, SqlitePool, Arc<SqliteStore>) {
    let place = Place::new();
    let options = SqliteConnectOptions::new()
        .filename(place.path())
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .expect("pool");
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&pool)
        .await
        .expect("WAL");
    let store = SqliteStore::from_pool(pool.clone()).await.expect("open");
    (place, pool, Arc::new(store))
}

async fn allow(pool: &SqlitePool, pages: u32) {
    let sql = format!("PRAGMA max_page_count = {pages}");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(pool)
        .await
        .expect("max_page_count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_full_disk_what_was_acknowledged_is_there_and_what_was_refused_is_not() {
    let (_place, pool, store) = limited().await;
    allow(&pool, 60).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..10 {
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let (store, name) = (Arc::clone(&store), format!("{round} {number}"));
                tokio::spawn(async move {
                    let record = record(format!("{{\"fill\":\"{}\"}}", "x".repeat(100 * (number + 1))));
                    (store.insert(&id("user1", &name), &record).await, name)
                })
            })
            .collect();
        for task in tasks {
            let (outcome, name) = task.await.expect("no panic");
            match outcome {
                Ok(()) => assert!(acknowledged.insert(name)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    assert!(error.message().contains("full") && !error.outcome_unknown(), "{error}");
                }
            }
        }
    }
    assert!((1..320).contains(&acknowledged.len()), "{} fitted", acknowledged.len());
    let there: BTreeSet<_> = all(&store).await.into_iter().map(|(_, id, _, _)| id).collect();
    assert_eq!(there, acknowledged);
    // Ending sessions takes no room, and makes some.
    let one = acknowledged.pop_first().expect("one");
    assert!(store.remove(&id("user1", &one)).await.expect("remove"));
    allow(&pool, 100_000).await;
    store
        .insert(&id("user1", "after"), &record("{}"))
        .await
        .expect("there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_the_database_refuses_fails_nobody_it_shares_a_commit_with() {
    let (_place, pool, store) = limited().await;
    let trigger = "CREATE TRIGGER picky BEFORE INSERT ON jam_sessions WHEN NEW.session_key = 'refused' \
                   BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    sqlx::raw_sql(trigger).execute(&pool).await.expect("trigger");
    for round in 0..5 {
        let tasks: Vec<_> = (0..64)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let key = if number % 8 == 3 { "refused" } else { "taken" };
                    let outcome = store
                        .insert(&id(key, &format!("{round} {number}")), &record("{}"))
                        .await;
                    (key, outcome)
                })
            })
            .collect();
        for task in tasks {
            match task.await.expect("no panic") {
                ("taken", outcome) => outcome.expect("nothing is wrong with it"),
                (_, outcome) => assert_eq!(outcome.expect_err("refused").kind(), ErrorKind::Unexpected),
            }
        }
    }
    assert_eq!(store.list(&key("taken")).await.expect("list").len(), 5 * 56);
}

#[tokio::test]
async fn a_lock_that_others_hold_too_long_is_unavailable_and_may_be_tried_again() {
    let place = Place::new();
    let store = place
        .options()
        .busy_timeout(Duration::from_millis(100))
        .open()
        .await
        .expect("open");
    let a = id("user1", "a");
    store.insert(&a, &record("{\"n\":1}")).await.expect("insert");
    let mut other = SqliteConnectOptions::new()
        .filename(place.path())
        .connect()
        .await
        .expect("connect");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("begin");
    let (one, two, b) = (record("{\"n\":2}"), record("{\"n\":3}"), id("user1", "b"));
    let (alone, missing) = tokio::join!(store.replace(&a, None, &one), store.insert(&b, &two));
    for error in [alone.expect_err("locked"), missing.expect_err("locked")] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable() && error.message().contains("locked"), "{error}");
    }
    assert_eq!(payload(&store, &a).await.expect("reads go on"), b"{\"n\":1}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("rollback");
    other.close().await.expect("close");
    store.replace(&a, None, &one).await.expect("free again");
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_read_only_file_can_be_read_and_says_why_it_cannot_be_written() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store.insert(&a, &record("{\"n\":1}")).await.expect("insert");
    let over = id("user1", "over");
    let short = Record::new("{}", Some(Timestamp::from_secs(1_010)));
    store.insert(&over, &short).await.expect("insert");
    place.clock.set(Timestamp::from_secs(1_010));
    store.close().await.expect("close");
    // A format that a later SQLite might write and this one may only read; also for root, whom file modes don't stop.
    let mut bytes = std::fs::read(place.path()).expect("read");
    bytes[18] = 3;
    std::fs::write(place.path(), &bytes).expect("write");
    let store = place.open().await;
    assert_eq!(payload(&store, &a).await.expect("there"), b"{\"n\":1}");
    assert!(
        payload(&store, &over).await.is_none(),
        "it cannot be removed, and is over"
    );
    assert_eq!(store.list(&key("user1")).await.expect("list").len(), 1);
    // Nor does what changes nothing take a write.
    assert!(!store.touch(&over, Timestamp::MAX).await.expect("it is over"));
    assert!(!store.remove(&over).await.expect("it is over"));
    let (to, version) = (id("user1", "new"), version(&store, &a).await);
    for error in [
        store.replace(&over, None, &record("{}")).await,
        store.replace(&over, Some(&version), &record("{}")).await,
        store.rename(Rename::new(&over, &version, &to, &record("{}"))).await,
    ] {
        assert_eq!(error.expect_err("it is over").kind(), ErrorKind::NotFound);
    }
    for error in [
        store.replace(&a, None, &record("{}")).await.err(),
        store.touch(&a, Timestamp::MAX).await.err(),
        store.remove(&a).await.err(),
        store.clear(&key("user1")).await.err(),
    ] {
        let error = error.expect("read-only");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().contains("read-only") && !error.outcome_unknown(),
            "{error}"
        );
    }
    store.close().await.expect("close");
    bytes[18] = 2;
    std::fs::write(place.path(), &bytes).expect("write");
    let store = place.open().await;
    store.replace(&a, None, &record("{}")).await.expect("writable again");
}

/// To read from it would show what has ended since in the one that took its place.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_read_from_a_file_that_was_replaced() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    assert!(payload(&store, &a).await.is_some());
    std::fs::rename(place.path(), place.folder.path().join("aside.db")).expect("rename");
    let _another = place.open().await;
    let removed = |error: jam_core::Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("replaced"), "{error}");
    };
    removed(store.load(&a, Load::new()).await.expect_err("another file"));
    removed(store.list(&key("user1")).await.expect_err("another file"));
    removed(store.scan(None, 10).await.expect_err("another file"));
}

#[cfg(unix)]
#[tokio::test]
async fn no_write_is_acknowledged_into_a_file_that_was_removed() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store.insert(&a, &record("{}")).await.expect("insert");
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.path(), &aside).expect("rename");
    let error = store.insert(&id("user1", "b"), &record("{}")).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("removed") && !error.outcome_unknown(),
        "{error}"
    );
    std::fs::rename(&aside, place.path()).expect("rename");
    store
        .insert(&id("user1", "b"), &record("{}"))
        .await
        .expect("it is back");
    assert_eq!(all(&store).await.len(), 2);
}

const LITTLE_ROOM: &str = "JAM_TEST_LITTLE_ROOM";

/// What this test says in a process that may write no files of more than 150 or 300 KiB (shells differ).
#[cfg(unix)]
fn with_little_room(test: &str, place: &Place) -> String {
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 300; trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("exe"))
        .args(["--exact", test, "--nocapture"])
        .env(LITTLE_ROOM, place.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let output = limited.wait_with_output().expect("wait");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{said}");
    said
}

/// Started by the test below, in a process that may write no long files.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writer_with_little_room() {
    let Some(path) = std::env::var_os(LITTLE_ROOM) else {
        return;
    };
    let store = SqliteStore::options(path)
        .durability(Durability::Sync)
        .open()
        .await
        .expect("open");
    let store = Arc::new(store);
    let mut failed = 0;
    for round in 0..40 {
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let (store, name) = (Arc::clone(&store), format!("{round} {number}"));
                tokio::spawn(async move {
                    let record = record(format!("{{\"fill\":\"{}\"}}", "x".repeat(500)));
                    (store.insert(&id("user1", &name), &record).await, name)
                })
            })
            .collect();
        for task in tasks {
            match task.await.expect("no panic") {
                (Ok(()), name) => println!("\nack {name}"),
                (Err(error), _) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    failed += 1;
                }
            }
        }
        store.load(&id("user1", "0 0"), Load::new()).await.expect("reads go on");
    }
    println!("\nfailed {failed}");
}

#[cfg(unix)]
#[tokio::test]
async fn when_the_file_system_refuses_a_write_nothing_acknowledged_is_lost_and_work_goes_on_later() {
    let place = Place::new();
    let said = with_little_room("writer_with_little_room", &place);
    assert!(
        said.lines()
            .any(|line| line.starts_with("failed ") && line != "failed 0"),
        "{said}"
    );
    let acknowledged: BTreeSet<_> = said.lines().filter_map(|line| line.strip_prefix("ack ")).collect();
    assert!(!acknowledged.is_empty());
    let store = place.open().await;
    let there = all(&store).await;
    let there: BTreeSet<_> = there.iter().map(|(_, id, _, _)| id.as_str()).collect();
    assert!(acknowledged.is_subset(&there));
    assert_eq!(place.query("PRAGMA integrity_check").await, ["ok"]);
    store
        .insert(&id("user1", "after"), &record("{}"))
        .await
        .expect("there is room again");
}

/// Started by the test below, in a process that may write no long files.
#[tokio::test]
async fn closer_with_little_room() {
    let Some(path) = std::env::var_os(LITTLE_ROOM) else {
        return;
    };
    let store = SqliteStore::options(path).open().await.expect("open");
    let (one, another) = tokio::join!(store.close(), store.close());
    for outcome in [one, another, store.close().await] {
        println!("\nclose {:?}", outcome.map_err(|error| error.kind()));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_close_that_failed_has_failed_for_everybody_who_closes() {
    let place = Place::new();
    // It is in the log while this process has the file open, and longer than the other one may make the database.
    let store = place.open().await;
    let large = format!("{{\"fill\":\"{}\"}}", "x".repeat(1_000_000));
    store.insert(&id("user1", "a"), &record(large)).await.expect("insert");
    let said = with_little_room("closer_with_little_room", &place);
    let closes: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("close ")).collect();
    assert_eq!(closes, ["Err(Unavailable)"; 3], "{said}");
    store.close().await.expect("there is room here");
}

#[tokio::test]
async fn errors_show_no_key_no_id_and_no_data() {
    let (_place, pool, store) = limited().await;
    let secret = id("very-secret-key", "very-secret-id");
    let data = record("{\"very-secret\":\"data\"}");
    store.insert(&secret, &data).await.expect("insert");
    let stale = jam_core::Version::from_content("very-secret-version");
    let mut errors = vec![
        store.insert(&secret, &data).await.expect_err("there"),
        store.replace(&secret, Some(&stale), &data).await.expect_err("stale"),
        store
            .replace(&id("very-secret", "none"), None, &data)
            .await
            .expect_err("none"),
    ];
    sqlx::raw_sql("DROP TABLE jam_sessions")
        .execute(&pool)
        .await
        .expect("drop");
    errors.push(store.insert(&secret, &data).await.expect_err("no table"));
    errors.push(store.load(&secret, Load::new()).await.expect_err("no table"));
    for error in errors {
        assert!(
            !format!("{error} {error:?} {store:?}").contains("very-secret"),
            "{error:?}"
        );
    }
}

/// Or `sudo jam doctor`, before the service has run once, would shut it out.
#[cfg(unix)]
#[tokio::test]
async fn what_root_makes_in_a_directory_of_another_user_is_that_users() {
    use std::os::unix::fs::{MetadataExt, chown};
    const SERVICE: u32 = 12_345;
    let place = Place::new();
    // Who is not root may give nothing away.
    if chown(place.folder.path(), Some(SERVICE), Some(SERVICE)).is_err() {
        return;
    }
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    let mut files = 0;
    for entry in std::fs::read_dir(place.folder.path()).expect("listed") {
        let meta = entry.expect("entry").metadata().expect("there");
        assert_eq!((meta.uid(), meta.gid()), (SERVICE, SERVICE));
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the index of that");
}
