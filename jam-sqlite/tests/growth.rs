//! The files stay as long as what is in them asks for.
#![cfg(test)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jam_core::{Record, SessionStore, Timestamp};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use support::*;
use tokio::time::sleep;

fn length(place: &Place, suffix: &str) -> u64 {
    let path = place.folder.path().join(format!("sessions.db{suffix}"));
    std::fs::metadata(path).map_or(0, |file| file.len())
}

async fn fill(store: &Arc<jam_sqlite::SqliteStore>, round: u64, count: u64) {
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let record = Record::new(
                    format!("{{\"fill\":\"{}\"}}", "x".repeat(400)),
                    Some(Timestamp::from_secs(2_000 + round)),
                );
                for number in (task..count).step_by(64) {
                    let id = id(&format!("user{}", number % 500), &format!("{round} {number}"));
                    store.insert(&id, &record).await.expect("insert");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_that_many_sessions_have_left_shrinks_and_churn_does_not_make_it_grow() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    fill(&store, 0, 6_000).await;
    let mut lengths = Vec::new();
    for round in 1..=4 {
        fill(&store, round, 6_000).await;
        assert_eq!(
            store
                .remove_expired(Timestamp::from_secs(2_000 + round - 1))
                .await
                .expect("sweep"),
            6_000
        );
        lengths.push(length(&place, "") + length(&place, "-wal"));
    }
    let (first, last) = (lengths[0], lengths[3]);
    assert!(last < first + first / 4, "{lengths:?}");
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(9_000)).await.expect("sweep"),
        6_000
    );
    store.close().await.expect("close");
    // So many free pages are kept for what comes next.
    assert!(length(&place, "") < 3 * 1024 * 1024, "{} bytes", length(&place, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn free_space_is_given_back_though_another_process_takes_the_lock_again_and_again() {
    let place = Place::new();
    let store = place.open().await;
    // Enough for some thirty steps, between which the lock is free.
    let record = Record::new(vec![b'x'; 100_000], Some(Timestamp::from_secs(2_000)));
    for number in 0..300 {
        let id = id("user1", &number.to_string());
        store.insert(&id, &record).await.expect("insert");
    }
    let done = Arc::new(AtomicBool::new(false));
    let options = SqliteConnectOptions::new().filename(place.path());
    let mut other = options.busy_timeout(Duration::ZERO).connect().await.expect("connect");
    let locking = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut locks = 0;
            while !done.load(Ordering::SeqCst) {
                // At once when it is free; SQLite itself would sleep in between.
                if sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.is_ok() {
                    locks += 1;
                    // Longer than SQLite waits in a try of the writer.
                    sleep(Duration::from_millis(20)).await;
                    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("rollback");
                    sleep(Duration::from_millis(2)).await;
                }
            }
            locks
        }
    });
    let removed = store.remove_expired(Timestamp::from_secs(9_000)).await;
    done.store(true, Ordering::SeqCst);
    assert_eq!(removed.expect("sweep"), 300);
    let locks = locking.await.expect("no panic");
    let free: u64 = place.query("PRAGMA freelist_count").await[0].parse().expect("a number");
    println!("others had the lock {locks} times, {free} pages are free");
    // So many are kept for what comes next, and fewer than a step gives back are not worth one.
    assert!(free <= 2 * 256, "{free} pages are free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_leave_no_gap_do_not_make_the_log_grow_for_ever() {
    let place = Place::new();
    let store = place.open().await;
    let target = id("user1", "a");
    store.insert(&target, &record("{}")).await.expect("insert");
    let done = Arc::new(AtomicBool::new(false));
    // Each begins to read while the other one does.
    let readers: Vec<_> = (0..2)
        .map(|reader| {
            let (options, done) = (SqliteConnectOptions::new().filename(place.path()), Arc::clone(&done));
            tokio::spawn(async move {
                let mut connection = options.connect().await.expect("connect");
                sleep(Duration::from_millis(15 * reader)).await;
                while !done.load(Ordering::SeqCst) {
                    let look = "BEGIN; SELECT count(*) FROM jam_sessions";
                    sqlx::raw_sql(look).execute(&mut connection).await.expect("select");
                    sleep(Duration::from_millis(30)).await;
                    sqlx::raw_sql("COMMIT").execute(&mut connection).await.expect("commit");
                }
            })
        })
        .collect();
    let mut most = 0;
    for number in 0..1_000 {
        let fill = format!("{number} ").repeat(50_000);
        let record = record(format!("{{\"fill\":\"{fill}\"}}"));
        store.replace(&target, None, &record).await.expect("replace");
        most = most.max(length(&place, "-wal"));
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("no panic");
    }
    println!("the log was {most} bytes long");
    assert!(most < 130 * 1024 * 1024, "{most} bytes");
}

#[tokio::test]
async fn a_sweep_leaves_what_was_prolonged_and_what_never_ends() {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..1_000 {
        let expiry = (number % 4 != 0).then(|| Timestamp::from_secs(1_500 + number % 4));
        store
            .insert(&id("user1", &number.to_string()), &Record::new("{}", expiry))
            .await
            .expect("insert");
    }
    for number in (1..1_000).step_by(4) {
        let prolonged = store
            .touch(&id("user1", &number.to_string()), Timestamp::from_secs(9_000))
            .await;
        assert!(prolonged.expect("touch"));
    }
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(1_600)).await.expect("sweep"),
        500
    );
    assert_eq!(store.list(&key("user1")).await.expect("list").len(), 500);
}

#[tokio::test]
async fn a_sweep_finds_what_ends_earlier_than_it_did_and_what_was_added_or_changed_by_hand() {
    let place = Place::new();
    let store = place.open().await;
    for name in ["earlier", "mortal", "by hand", "for ever", "later"] {
        let expiry = (name != "mortal").then(|| Timestamp::from_secs(5_000));
        store
            .insert(&id("user1", name), &Record::new("{}", expiry))
            .await
            .expect("insert");
    }
    let soon = Record::new("{}", Some(Timestamp::from_secs(1_500)));
    store
        .replace(&id("user1", "earlier"), None, &soon)
        .await
        .expect("replace");
    store
        .replace(&id("user1", "mortal"), None, &soon)
        .await
        .expect("replace");
    store
        .replace(&id("user1", "for ever"), None, &record("{}"))
        .await
        .expect("replace");
    assert!(
        store
            .touch(&id("user1", "later"), Timestamp::from_secs(9_000))
            .await
            .expect("touch")
    );
    place
        .query("UPDATE jam_sessions SET expires_at = 1500000 WHERE session_id = 'by hand'")
        .await;
    let added = "INSERT INTO jam_sessions (session_key, session_id, data, expires_at) VALUES \
                 ('user1', 'added', '{}', 1500000), ('user1', 'added for later', '{}', 8000000), ('user1', 'added for ever', '{}', NULL)";
    place.query(added).await;
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(2_000)).await.expect("sweep"),
        4
    );
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(6_000)).await.expect("sweep"),
        0
    );
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(10_000)).await.expect("sweep"),
        2
    );
    let left = place.query("SELECT session_id FROM jam_sessions ORDER BY 1").await;
    assert_eq!(left, ["added for ever", "for ever"]);
}

#[tokio::test]
async fn what_has_expired_is_removed_when_asked_for_though_it_counts_as_gone() {
    let place = Place::new();
    let store = place.open().await;
    let a = id("user1", "a");
    store
        .insert(&a, &Record::new("{}", Some(Timestamp::from_secs(500))))
        .await
        .expect("insert");
    assert!(!store.remove(&a).await.expect("remove"));
    assert!(!store.remove(&a).await.expect("remove"));
    assert_eq!(place.query("SELECT count(*) FROM jam_sessions").await, ["0"]);
}
