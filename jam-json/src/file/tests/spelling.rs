//! A file system that does not tell upper from lower case, as those of macOS and Windows.

use std::sync::Arc;

use jam_core::{ErrorKind, Load, Record, RecordId, Result, SessionKey, SessionStore};

use super::fake_fs::FakeFs;
use crate::JsonFile;

fn id() -> RecordId {
    RecordId::new(SessionKey::new("u").expect("key"), "a").expect("id")
}

async fn open(fs: &FakeFs, folder: &tempfile::TempDir, name: &str) -> Result<JsonFile> {
    let options = JsonFile::options(folder.path().join(name));
    options.fs(Arc::new(fs.clone())).open().await
}

#[tokio::test]
async fn another_spelling_of_the_path_is_refused_and_costs_no_journal() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    fs.ignore_case();
    let lock = folder.path().join("Sessions.json.lock");
    for (closed, lock_removed) in [(false, false), (true, false), (true, true)] {
        let store = open(&fs, &folder, "Sessions.json").await.expect("open");
        let _ = store.insert(&id(), &Record::new("{}", None)).await;
        if closed {
            store.close().await.expect("close");
        }
        drop(store);
        if lock_removed {
            std::fs::remove_file(&lock).expect("removed");
        }
        let error = open(&fs, &folder, "sessions.json").await.expect_err("another spelling");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("spelled `Sessions.json"), "{error}");
        let store = open(&fs, &folder, "Sessions.json").await.expect("open");
        assert!(store.load(&id(), Load::new()).await.expect("load").is_some());
    }
}

#[tokio::test]
async fn where_case_counts_two_spellings_are_two_stores() {
    let (fs, folder) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"));
    let one = open(&fs, &folder, "Sessions.json").await.expect("open");
    one.insert(&id(), &Record::new("{}", None)).await.expect("insert");
    let other = open(&fs, &folder, "sessions.json").await.expect("open");
    assert!(other.load(&id(), Load::new()).await.expect("load").is_none());
}
