//! A `sessions.json` of Python's jamlib becomes a document of jam, with nothing lost.
//!
//! `../golden/jamlib_sessions.json` is what TinyDB wrote: two sessions in plain text, one removed, one of
//! `is_session_crypt`.

use crate::file_support::{Place, all, id, payload, record};
use jam_core::{ErrorKind, Registry, SessionStore, Severity, StoreConfig, StoreFactory};
use jam_json::JsonFileFactory;

const JAMLIB: &str = include_str!("../golden/jamlib_sessions.json");

#[tokio::test]
async fn sessions_of_jamlib_are_imported_byte_for_byte_and_the_original_is_kept() {
    let place = Place::new();
    std::fs::write(place.path(), JAMLIB).expect("write");
    let store = place.open().await;
    let import = store.recovery().imported.clone().expect("an import");
    assert_eq!(import.sessions, 3);
    assert_eq!(std::fs::read_to_string(&import.original).expect("original"), JAMLIB);
    let admin = id("user1", "user1:565df195-b963-4ebb-8978-318998ef191c");
    let data = "{\"name\": \"Zo\\u00eb\",\"role\": \"admin\"}";
    assert_eq!(payload(&store, &admin).await, Some(data.as_bytes().to_vec()));
    let sealed = all(&store)
        .await
        .into_iter()
        .find(|session| session.0 == "user:2")
        .expect("sealed");
    assert!(sealed.1.starts_with("user:2:J$_gAAAA") && sealed.2.starts_with(b"J$_gAAAA"));
    assert!(all(&store).await.iter().all(|session| session.3.is_none()));
    store.remove(&admin).await.expect("remove");
    drop(store);
    let store = place.open().await;
    assert_eq!(store.recovery().imported, None);
    assert_eq!(all(&store).await.len(), 2);
    assert!(
        std::fs::read_to_string(place.path())
            .expect("document")
            .starts_with("{\"jam\":")
    );
}

#[tokio::test]
async fn another_import_never_replaces_the_kept_original() {
    let place = Place::new();
    std::fs::write(place.path(), JAMLIB).expect("write");
    std::fs::write(place.beside(".jamlib"), "an older one").expect("write");
    let error = place.options().open().await.expect_err("in the way");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(std::fs::read_to_string(place.path()).expect("read"), JAMLIB);
    // The same original may be there: a crash came between keeping it and writing the document.
    std::fs::write(place.beside(".jamlib"), JAMLIB).expect("write");
    assert_eq!(all(&place.open().await).await.len(), 3);
}

#[tokio::test]
async fn where_it_is_not_to_be_imported_it_is_refused_and_everything_stays_as_it_is() {
    let place = Place::new();
    std::fs::write(place.path(), JAMLIB).expect("write");
    let look = || place.options().import_jamlib(false);
    // With a lock of jam's beside it, and at first without: none is left behind.
    for names in [&["sessions.json"][..], &["sessions.json", "sessions.json.lock"]] {
        if names.len() > 1 {
            std::fs::write(place.beside(".lock"), "").expect("write");
        }
        let error = look().open().await.expect_err("not imported");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("of Python's jamlib"), "{error}");
        assert!(error.message().contains("`import_jamlib`"), "{error}");
        assert_eq!(place.names(), names);
        assert_eq!(std::fs::read_to_string(place.path()).expect("read"), JAMLIB);
    }
    assert_eq!(all(&place.open().await).await.len(), 3);
    // By now it is a document of jam.
    assert_eq!(all(&look().open().await.expect("open")).await.len(), 3);
}

#[tokio::test]
async fn the_doctor_does_not_look_into_what_it_may_not_import() {
    const LOOK: &str = "?import_jamlib=false";
    let place = Place::new();
    std::fs::write(place.path(), JAMLIB).expect("write");
    let config = |query: &str| StoreConfig::from_url(&format!("json:{}{query}", place.path().display())).expect("url");
    let opening = async |query: &str| {
        let found = JsonFileFactory.diagnose(&mut config(query)).await.expect("found");
        let opening = found.into_iter().find(|finding| finding.subject == "opening");
        opening.expect("something on opening")
    };
    let found = opening(LOOK).await;
    assert_eq!(found.severity, Severity::Warning);
    assert!(found.found.contains("of Python's jamlib"), "{found:?}");
    let mut registry = Registry::new();
    registry.register(JsonFileFactory);
    let error = registry.open("json", config(LOOK)).await.expect_err("not imported");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(place.names(), ["sessions.json"]);
    // What keeps it from being imported where it may be is wrong.
    std::fs::write(place.beside(".jamlib"), "an older one").expect("write");
    assert_eq!(opening("").await.severity, Severity::Wrong);
    assert_eq!(opening(LOOK).await.severity, Severity::Warning);
    // So is a journal of jam's, beside which it can never be.
    std::fs::write(place.beside(".journal-1"), "").expect("write");
    assert_eq!(opening(LOOK).await.severity, Severity::Wrong);
    let error = registry.open("json", config(LOOK)).await.expect_err("torn apart");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(std::fs::read_to_string(place.path()).expect("read"), JAMLIB);
}

#[tokio::test]
async fn what_is_no_session_of_jamlib_is_not_dropped_but_refused() {
    let session = r#"{"key":"u","session_id":"s","data":"{}","created_at":1.5}"#;
    let good = format!("{{\"_default\":{{\"1\":{session}}}}}");
    for bad in [
        good.replace("\"key\":\"u\"", "\"key\":\"\""),
        good.replace("\"data\":\"{}\"", "\"data\":{}"),
        good.replace("\"created_at\":1.5", "\"created_at\":1.5,\"more\":1"),
        good.replace("{\"_default\"", "{\"books\":{},\"_default\""),
        format!("{{\"_default\":{{\"1\":{session},\"2\":{session}}}}}"),
    ] {
        let place = Place::new();
        std::fs::write(place.path(), &bad).expect("write");
        let error = place.options().open().await.expect_err("bad");
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        assert_eq!(std::fs::read_to_string(place.path()).expect("read"), bad);
        assert_eq!(place.names(), ["sessions.json", "sessions.json.lock"]);
    }
    let place = Place::new();
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    drop(store);
    std::fs::write(place.path(), &good).expect("write");
    let error = place.options().open().await.expect_err("journals of jam beside it");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
