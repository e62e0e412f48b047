//! Files that are not what they should be: a typed error, nothing changed, no panic.
#![cfg(test)]

mod support;

use std::path::Path;
use std::time::Duration;

use futures_lite::future::poll_once;
use jam_core::{Error, ErrorKind, Load, Result, SessionStore, Severity, StoreConfig, StoreFactory, Timestamp};
use jam_sqlite::{Durability, SqliteFactory, SqliteStore};
use sqlx::SqlitePool;
use support::*;

async fn open(path: &Path) -> Result<SqliteStore> {
    let options = SqliteStore::options(path).durability(Durability::Os);
    options.busy_timeout(Duration::from_millis(200)).open().await
}

/// A file with some hundred sessions, closed.
async fn filled() -> Place {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..300 {
        let record = record(format!("{{\"n\":{number},\"fill\":\"{}\"}}", "x".repeat(100)));
        store
            .insert(&id("user1", &number.to_string()), &record)
            .await
            .expect("insert");
    }
    store.close().await.expect("close");
    place
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let place = Place::new();
    let text = "some letters to grandmother\n".repeat(100);
    std::fs::write(place.path(), &text).expect("write");
    let error = open(&place.path()).await.expect_err("no database");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(std::fs::read_to_string(place.path()).expect("read"), text);
    assert_eq!(place.names(), ["sessions.db"]);
}

#[tokio::test]
async fn the_database_of_another_application_is_refused_and_left_alone() {
    let place = Place::new();
    let url = format!("sqlite:{}?mode=rwc", place.path().display());
    let pool = SqlitePool::connect(&url).await.expect("pool");
    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        .execute(&pool)
        .await
        .expect("create");
    pool.close().await;
    let before = std::fs::read(place.path()).expect("read");
    let error = open(&place.path()).await.expect_err("not jam's");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("from_pool"), "{error}");
    assert_eq!(std::fs::read(place.path()).expect("read"), before);
}

#[tokio::test]
async fn a_table_of_that_name_that_jam_did_not_make_is_refused_and_left_alone() {
    for (made, name) in [
        ("CREATE TABLE Jam_Sessions (id INTEGER PRIMARY KEY)", "jam_sessions"),
        ("CREATE VIEW logins AS SELECT 1", "logins"),
        ("CREATE TABLE jam_schema (something TEXT)", "jam_sessions"),
    ] {
        let pool = SqlitePool::connect("sqlite::memory:").await.expect("pool");
        sqlx::query(made).execute(&pool).await.expect("create");
        let options = jam_sqlite::SqliteOptions::from_pool(pool.clone()).table(name);
        let error = options.open().await.expect_err("not jam's");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let schema: Vec<(String,)> = sqlx::query_as("SELECT sql FROM sqlite_schema")
            .fetch_all(&pool)
            .await
            .expect("schema");
        assert_eq!(schema, [(made.to_owned(),)]);
    }
}

#[tokio::test]
async fn a_table_whose_index_would_have_the_name_of_another_table_is_refused() {
    let place = Place::new();
    let first = place.options().table("a_sweep").open().await.expect("open");
    first.insert(&id("user1", "a"), &record("{}")).await.expect("insert");
    for name in ["a", "A"] {
        let error = place.options().table(name).open().await.expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().to_lowercase().contains("a_sweep"), "{error}");
    }
    assert_eq!(place.query("SELECT table_name FROM jam_schema").await, ["a_sweep"]);
}

#[tokio::test]
async fn a_table_of_a_later_version_is_refused_and_left_alone() {
    let place = filled().await;
    place.query("UPDATE jam_schema SET version = 2").await;
    let before = std::fs::read(place.path()).expect("read");
    let error = open(&place.path()).await.expect_err("later");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("version 2"), "{error}");
    assert_eq!(std::fs::read(place.path()).expect("read"), before);
}

#[tokio::test]
async fn a_table_that_lacks_a_column_is_refused() {
    let place = filled().await;
    place
        .query("ALTER TABLE jam_sessions RENAME COLUMN data TO dates")
        .await;
    assert_eq!(
        open(&place.path()).await.expect_err("changed").kind(),
        ErrorKind::Config
    );
}

#[tokio::test]
async fn a_path_that_is_none_of_a_file_is_refused() {
    let place = Place::new();
    let kind = |opened: Result<SqliteStore>| opened.expect_err("refused").kind();
    assert_eq!(kind(open(place.folder.path()).await), ErrorKind::Config);
    assert_eq!(kind(open(Path::new("")).await), ErrorKind::Config);
    assert_eq!(
        kind(open(&place.folder.path().join("not/there.db")).await),
        ErrorKind::Unavailable
    );
    assert!(place.names().is_empty());
}

/// Within its last page it may go unnoticed, since SQLite keeps no checksum of a page.
#[tokio::test]
async fn a_file_that_was_cut_off_anywhere_is_an_error_and_never_fewer_sessions() {
    let place = filled().await;
    let whole = std::fs::read(place.path()).expect("read");
    for length in [
        1,
        15,
        16,
        50,
        99,
        100,
        511,
        512,
        4095,
        4096,
        4097,
        whole.len() / 2,
        whole.len() - 4096,
    ] {
        std::fs::write(place.path(), &whole[..length]).expect("write");
        let kind = match open(&place.path()).await {
            Ok(store) => {
                let kind = scanned(&store).await.expect_err(&format!("cut off at {length}")).kind();
                drop(store.close().await);
                kind
            }
            Err(error) => error.kind(),
        };
        assert!(
            matches!(kind, ErrorKind::Corrupt | ErrorKind::Config),
            "cut off at {length}: {kind:?}"
        );
    }
}

/// Gives those of the 300 that may be on the page, and the others.
fn damage_a_page(place: &Place) -> (Vec<usize>, Vec<usize>) {
    let mut file = std::fs::read(place.path()).expect("read");
    let page_size = usize::from(u16::from_be_bytes([file[16], file[17]]));
    let holds = |page: &[u8], number: usize| {
        let text = format!("{{\"n\":{number},");
        page.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let mut pages = file.chunks_mut(page_size);
    let page = pages.find(|page| holds(page, 150)).expect("it is somewhere");
    let (hit, sound): (Vec<_>, Vec<_>) = (0..300).partition(|number| holds(page, *number));
    assert!(!hit.is_empty() && sound.len() > 200);
    // No page has this type.
    page[0] = 0xff;
    std::fs::write(place.path(), file).expect("write");
    (hit, sound)
}

#[tokio::test]
async fn a_damaged_page_is_the_trouble_of_those_sessions_alone_that_are_on_it() {
    let place = filled().await;
    let (hit, sound) = damage_a_page(&place);
    let store = place.open().await;
    let ids: Vec<_> = (0..300).map(|number| id("user1", &number.to_string())).collect();
    // Queued before any is answered, so that they are read many at a time.
    let mut loads: Vec<_> = ids.iter().map(|id| store.load(id, Load::new())).collect();
    for load in &mut loads {
        assert!(poll_once(load).await.is_none());
    }
    let mut outcomes = Vec::new();
    for load in loads {
        outcomes.push(load.await);
    }
    for number in sound {
        let stored = outcomes[number].as_ref().expect("it is on another page");
        let payload = &stored.as_ref().expect("there").payload;
        assert!(payload.starts_with(format!("{{\"n\":{number},").as_bytes()));
    }
    for number in hit {
        let error = outcomes[number].as_ref().expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn a_diagnosis_tells_of_a_damaged_page_that_nobody_has_read() {
    let place = filled().await;
    let diagnose = || async {
        let url = format!("sqlite:{}", place.path().display());
        let mut config = StoreConfig::from_url(&url).expect("url");
        let findings = SqliteFactory.diagnose(&mut config).await.expect("diagnosis");
        findings
            .into_iter()
            .filter(|finding| finding.severity == Severity::Wrong)
    };
    assert_eq!(diagnose().await.count(), 0);
    damage_a_page(&place);
    let wrong: Vec<_> = diagnose().await.collect();
    assert!(
        matches!(&wrong[..], [one] if one.found.contains("damaged")),
        "{wrong:?}"
    );
}

async fn scanned(store: &SqliteStore) -> Result<usize> {
    let mut count = 0;
    let mut cursor = None;
    loop {
        let page = store.scan(cursor, 100).await?;
        count += page.entries.len();
        let Some(next) = page.next else { return Ok(count) };
        cursor = Some(next);
    }
}

/// Whatever a flipped bit does, it does it as an error of the right kind, or to the bytes of a value, which SQLite keeps
/// no checksum of.
#[tokio::test]
async fn flipped_bits_give_typed_errors_and_no_panic() {
    let place = filled().await;
    let whole = std::fs::read(place.path()).expect("read");
    let (mut refused, mut read) = (0, 0);
    let offsets = (0..110).chain((110..whole.len()).step_by(whole.len() / 300));
    for (round, offset) in offsets.enumerate() {
        let mut damaged = whole.clone();
        damaged[offset] ^= 1 << (round % 8);
        std::fs::write(place.path(), &damaged).expect("write");
        match try_everything(&place.path()).await {
            Ok(()) => read += 1,
            Err(error) => {
                let expected = matches!(
                    error.kind(),
                    ErrorKind::Corrupt
                        | ErrorKind::Config
                        | ErrorKind::Unsupported
                        | ErrorKind::Unavailable
                        | ErrorKind::NotFound
                        | ErrorKind::AlreadyExists
                );
                assert!(expected, "offset {offset}: {error:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50 && read > 50, "{refused} refused, {read} read");
}

async fn try_everything(path: &Path) -> Result<()> {
    let store = open(path).await?;
    let done = async {
        scanned(&store).await?;
        store.list(&key("user1")).await?;
        store.load(&id("user1", "7"), Load::new()).await?;
        store.replace(&id("user1", "8"), None, &record("{}")).await?;
        store.insert(&id("user2", "new"), &record("{}")).await?;
        store.remove(&id("user1", "9")).await?;
        store.remove_expired(Timestamp::from_secs(1)).await?;
        store.clear(&key("user1")).await?;
        Ok::<_, Error>(())
    };
    let done = done.await;
    store.close().await?;
    done
}

#[tokio::test]
async fn a_damaged_log_gives_what_was_committed_before_the_damage() {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..50 {
        store
            .insert(&id("user1", &number.to_string()), &record("{}"))
            .await
            .expect("insert");
    }
    let copied = tempfile::tempdir().expect("tempdir");
    let (database, log) = (copied.path().join("sessions.db"), copied.path().join("sessions.db-wal"));
    let whole = std::fs::read(place.folder.path().join("sessions.db-wal")).expect("read");
    let mut least = usize::MAX;
    for offset in (0..whole.len()).step_by(whole.len() / 60).rev() {
        std::fs::copy(place.path(), &database).expect("copy");
        let mut damaged = whole.clone();
        damaged[offset] ^= 0x10;
        std::fs::write(&log, damaged).expect("write");
        let count = match open(&database).await {
            Ok(store) => {
                let count = scanned(&store).await.expect("scan");
                store.close().await.expect("close");
                count
            }
            // Damaged so early that not even the tables are there.
            Err(error) => panic!("{error:?}"),
        };
        assert!(count <= least.max(50), "offset {offset}");
        least = least.min(count);
    }
}
