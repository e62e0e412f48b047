//! Databases of every version open for ever, as what they were.
//!
//! `JAM_MAKE_GOLDEN=<file>` makes this jam write such a database there, for the next version.
#![cfg(test)]

mod support;

use jam_core::{Record, Rename, SessionStore, Timestamp};
use jam_sqlite::SqliteStore;
use support::*;

/// Version 1, written by SQLite 3.51.3: every kind of write, every form of payload, keys and ids of all sorts.
const V1: &[u8] = include_bytes!("golden/v1.sqlite");

fn until(payload: &[u8], secs: u64) -> Record {
    Record::new(payload.to_vec(), Some(Timestamp::from_secs(secs)))
}

async fn write(store: &SqliteStore) {
    let inserted = [
        (id("user1", "inserted"), until(br#"{"role": "admin", "n": 1.0}"#, 4_000)),
        (id("user1", "touched"), until(b"{}", 4_000)),
        (id("user1", "expired"), until(b"{}", 500)),
        (id("user1", "gone"), record("{}")),
        (id("user2", "from"), record("{}")),
        (id("user2", "swapped"), record("{}")),
        (id("line\nbreak", "nul\0"), record(r#"{"quote":"\""}"#)),
        (id("\u{1f600}", "sealed"), until(b"J$_\x00\xff", 9_000)),
    ];
    for (id, record) in &inserted {
        store.insert(id, record).await.expect("insert");
    }
    assert!(
        store
            .touch(&id("user1", "touched"), Timestamp::from_secs(5_000))
            .await
            .expect("touch")
    );
    assert!(store.remove(&id("user1", "gone")).await.expect("remove"));
    let swapped = id("user2", "swapped");
    let expected = version(store, &swapped).await;
    store
        .replace(&swapped, Some(&expected), &record([0, 255]))
        .await
        .expect("replace");
    let (from, to, moved) = (id("user2", "from"), id("user3", "to"), until(b"[1]", 6_000));
    let expected = version(store, &from).await;
    store
        .rename(Rename::new(&from, &expected, &to, &moved))
        .await
        .expect("rename");
}

fn expected() -> Vec<(String, String, Vec<u8>, Option<Timestamp>)> {
    let session = |key: &str, id: &str, payload: &[u8], secs: Option<u64>| {
        let at = secs.map(Timestamp::from_secs);
        (key.to_owned(), id.to_owned(), payload.to_vec(), at)
    };
    vec![
        session("line\nbreak", "nul\0", br#"{"quote":"\""}"#, None),
        session("user1", "inserted", br#"{"role": "admin", "n": 1.0}"#, Some(4_000)),
        session("user1", "touched", b"{}", Some(5_000)),
        session("user2", "swapped", &[0, 255], None),
        session("user3", "to", b"[1]", Some(6_000)),
        session("\u{1f600}", "sealed", b"J$_\x00\xff", Some(9_000)),
    ]
}

#[tokio::test]
async fn version_1_opens_and_can_be_written() {
    let place = Place::new();
    std::fs::write(place.path(), V1).expect("write");
    let store = place.open().await;
    assert_eq!(all(&store).await, expected());
    assert_eq!(
        store.remove_expired(Timestamp::from_secs(1_000)).await.expect("sweep"),
        1
    );
    for (key, count) in [
        ("user1", 2),
        ("user2", 1),
        ("user3", 1),
        ("line\nbreak", 1),
        ("\u{1f600}", 1),
    ] {
        assert_eq!(store.clear(&support::key(key)).await.expect("clear"), count);
    }
    write(&store).await;
    assert_eq!(all(&store).await, expected());
    assert_eq!(place.query("PRAGMA integrity_check").await, ["ok"]);
}

#[tokio::test]
async fn what_is_written_now_is_what_the_golden_database_holds() {
    let place = Place::new();
    let store = place.open().await;
    write(&store).await;
    store.close().await.expect("close");
    let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let now = place.query(schema).await;
    if let Some(target) = std::env::var_os("JAM_MAKE_GOLDEN") {
        std::fs::copy(place.path(), target).expect("copy");
    }
    let golden = Place::new();
    std::fs::write(golden.path(), V1).expect("write");
    assert_eq!(golden.query(schema).await, now);
}
