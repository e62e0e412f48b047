//! What an opening tells of what it found, and what it refuses to make the best of.

use std::fs;
use std::path::PathBuf;

use jam_core::{Error, ErrorKind, SessionStore, Severity, StoreConfig, StoreFactory};
use jam_json::JsonFileFactory;

use crate::file_support::{Place, all, id, record};

const FIRST: &str = "sessions.json.journal-1";

/// What a store wrote that was compacted twice: the document of before and three journals after it, each with a session of its own.
/// Without a document where the store was new.
async fn history(is_new: bool) -> (Place, Vec<String>) {
    let (place, kept) = (Place::new(), Place::new());
    if !is_new {
        let store = place.open().await;
        store.insert(&id("u", "before"), &record("{}")).await.expect("insert");
        store.close().await.expect("close");
        place.copy_to(kept.folder.path());
    }
    let store = place.open().await;
    for number in 0..3 {
        store
            .insert(&id("u", &format!("{number}")), &record("{}"))
            .await
            .expect("insert");
        for journal in place.names().iter().filter(|name| name.contains(".journal-")) {
            fs::copy(file(&place, journal), file(&kept, journal)).expect("copied");
        }
        store.compact().await.expect("compact");
    }
    let mut journals = kept.names();
    journals.retain(|name| name.contains(".journal-"));
    assert_eq!(journals.len(), 3);
    (kept, journals)
}

fn file(place: &Place, name: &str) -> PathBuf {
    place.folder.path().join(name)
}

fn head_of(journal: &[u8]) -> usize {
    1 + journal.iter().position(|byte| *byte == b'\n').expect("a line")
}

async fn refused(place: &Place) -> Error {
    let error = place.options().open().await.expect_err("not whole");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error
}

#[tokio::test]
async fn a_document_and_all_journals_after_it_are_whole() {
    for (is_new, sessions) in [(true, 3), (false, 4)] {
        let (place, _) = history(is_new).await;
        let store = place.open().await;
        assert_eq!(all(&store).await.len(), sessions);
        assert_eq!(store.recovery().replayed, 3);
        assert!(!store.recovery().is_empty());
        store.close().await.expect("close");
        assert!(place.open().await.recovery().is_empty());
    }
}

#[tokio::test]
async fn which_file_is_missing_and_what_helps_is_told() {
    for (is_new, missing, helps) in [(true, 0, false), (true, 1, false), (false, 0, true), (false, 1, false)] {
        let (place, journals) = history(is_new).await;
        fs::remove_file(file(&place, &journals[missing])).expect("removed");
        let (_, generation) = journals[missing].rsplit_once('-').expect("a number");
        let says = match (is_new, missing) {
            (true, 0) => "the document before this journal is missing".to_owned(),
            _ => format!("the journal of generation {generation}, before this one, is missing"),
        };
        let error = refused(&place).await.to_string();
        assert!(error.contains(&says), "{error}");
        assert_eq!(error.contains("accept_edited_document"), helps, "{error}");
    }
}

/// A crash may leave half of a head only where the document was written before, and nothing comes after it.
#[tokio::test]
async fn the_head_of_a_journal_that_was_whole_once_is_not_given_up() {
    for is_new in [true, false] {
        let (place, journals) = history(is_new).await;
        let journal = fs::read(file(&place, &journals[0])).expect("read");
        for len in [0, 1, head_of(&journal) - 1] {
            fs::write(file(&place, &journals[0]), &journal[..len]).expect("cut");
            refused(&place).await;
        }
    }
    // The document was written after it.
    let (place, crashed) = (Place::new(), Place::new());
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    store.compact().await.expect("compact");
    store.insert(&id("u", "b"), &record("{}")).await.expect("insert");
    place.copy_to(crashed.folder.path());
    let mut names = crashed.names();
    names.retain(|name| name.contains(".journal-"));
    let vouched = file(&crashed, &names[0]);
    let journal = fs::read(&vouched).expect("read");
    for len in 0..head_of(&journal) {
        fs::write(&vouched, &journal[..len]).expect("cut");
        refused(&crashed).await;
    }
    fs::write(vouched, journal).expect("as it was");
    assert_eq!(all(&crashed.open().await).await.len(), 2);
}

#[tokio::test]
async fn json_of_another_program_is_told_from_jamlibs() {
    for (text, says) in [
        ("{\"other\": 1}", "no sessions file of jam or of Python's jamlib"),
        (
            "[1, 2, {\"_default\": 3}]",
            "no sessions file of jam or of Python's jamlib",
        ),
        ("[null, null, 3]", "no sessions file of jam or of Python's jamlib"),
        ("{\"_default\": 3}", "looks like a sessions file of Python's jamlib"),
    ] {
        let place = Place::new();
        fs::write(place.path(), text).expect("written");
        let error = place.options().open().await.expect_err("another's");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(says), "{text}: {error}");
        assert_eq!(fs::read_to_string(place.path()).expect("there"), text);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_doctor_tells_of_damage_and_of_files_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (place, crashed) = (Place::new(), Place::new());
    let store = place.open().await;
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    place.copy_to(crashed.folder.path());
    let mut journal = fs::read(file(&crashed, FIRST)).expect("read");
    journal.extend_from_slice(b"half a rec");
    fs::write(file(&crashed, FIRST), journal).expect("damaged");
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(file(&crashed, FIRST), open).expect("opened up");
    let mut config = StoreConfig::from_url(&format!("json:{}", crashed.path().display())).expect("url");
    let found = JsonFileFactory.diagnose(&mut config).await.expect("found");
    let about = |subject: &str, severity| {
        let mut found = found.iter().filter(|finding| finding.subject == subject);
        found.any(|finding| finding.severity == severity)
    };
    assert!(about("permissions", Severity::Wrong), "{found:?}");
    assert!(about("recovery", Severity::Warning), "{found:?}");
}
