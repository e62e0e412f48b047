//! What the tests of `JsonDir` share: a store in a directory of its own, ids, records, and the files behind them.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jam_core::{
    Error, ErrorKind, Load, ManualClock, Record, RecordId, Result, SessionKey, SessionStore, Stored, Timestamp,
};
use jam_json::{Durability, JsonDir};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A store that writes without syncing, in a directory that goes when this does, on a clock that is turned by hand.
pub(crate) struct Fixture {
    pub(crate) store: JsonDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(ManualClock::new(NOW));
        let store = open(&directory.path().join("sessions"), &clock).await;
        Self {
            store,
            clock,
            directory,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.store.storage_path()
    }

    /// The same directory opened once more, as another process would.
    pub(crate) async fn again(&self) -> JsonDir {
        open(self.path(), &self.clock).await
    }

    /// Every session file there is.
    pub(crate) fn session_files(&self) -> Vec<PathBuf> {
        files(self.path(), ".json")
    }

    /// The one session file there is.
    pub(crate) fn session_file(&self) -> PathBuf {
        let mut files = self.session_files();
        assert_eq!(files.len(), 1, "exactly one session file");
        files.remove(0)
    }
}

pub(crate) async fn open(path: &Path, clock: &Arc<ManualClock>) -> JsonDir {
    JsonDir::options()
        .storage_path(path)
        .durability(Durability::Os)
        .clock(Arc::clone(clock) as _)
        .open()
        .await
        .expect("the store opens")
}

/// Every file below this directory whose name ends so.
pub(crate) fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn key(text: &str) -> SessionKey {
    SessionKey::new(text).expect("a session key")
}

pub(crate) fn id(key_text: &str, id: &str) -> RecordId {
    RecordId::new(key(key_text), id).expect("a record id")
}

pub(crate) fn forever(payload: &str) -> Record {
    Record::new(payload.to_owned(), None)
}

/// A record that ends so many seconds from [`NOW`].
pub(crate) fn until(payload: &str, seconds: u64) -> Record {
    Record::new(payload.to_owned(), Some(after(seconds)))
}

pub(crate) fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) async fn load(store: &JsonDir, id: &RecordId) -> Option<Stored> {
    store.load(id, Load::new()).await.expect("loaded")
}

pub(crate) async fn payload(store: &JsonDir, id: &RecordId) -> Option<String> {
    let stored = load(store, id).await?;
    Some(String::from_utf8(stored.payload.to_vec()).expect("text"))
}

#[track_caller]
pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    error(result).kind()
}

#[track_caller]
pub(crate) fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("an error was due"),
        Err(error) => error,
    }
}
