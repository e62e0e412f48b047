//! What the tests of the JSON file share.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jam_core::{Load, ManualClock, Record, RecordId, SessionKey, SessionStore, Timestamp, Version};
use jam_json::{Durability, JsonFile, JsonFileOptions};
use tempfile::TempDir;

/// A store in a directory of its own, on a clock that is turned by hand.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("tempdir"),
            clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_000))),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.json")
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("sessions.json{suffix}"))
    }

    /// Options without syncing: what these tests are about survives a killed process.
    pub(crate) fn options(&self) -> JsonFileOptions {
        JsonFile::options(self.path())
            .clock(self.clock.clone())
            .durability(Durability::Os)
    }

    pub(crate) async fn open(&self) -> JsonFile {
        self.options().open().await.expect("open")
    }

    /// The names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("read_dir");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    }

    /// Everything in the directory.
    pub(crate) fn copy_to(&self, target: &Path) {
        for name in self.names() {
            std::fs::copy(self.folder.path().join(&name), target.join(&name)).expect("copy");
        }
    }
}

pub(crate) fn key(text: &str) -> SessionKey {
    SessionKey::new(text).expect("key")
}

pub(crate) fn id(key_text: &str, id: &str) -> RecordId {
    RecordId::new(key(key_text), id).expect("id")
}

pub(crate) fn record(payload: impl AsRef<[u8]>) -> Record {
    Record::new(payload.as_ref().to_vec(), None)
}

pub(crate) fn until(payload: &str, secs: u64) -> Record {
    Record::new(payload.as_bytes().to_vec(), Some(Timestamp::from_secs(secs)))
}

pub(crate) async fn payload(store: &impl SessionStore, id: &RecordId) -> Option<Vec<u8>> {
    store
        .load(id, Load::new())
        .await
        .expect("load")
        .map(|stored| stored.payload.to_vec())
}

pub(crate) async fn version(store: &impl SessionStore, id: &RecordId) -> Version {
    store
        .load(id, Load::new())
        .await
        .expect("load")
        .expect("a record")
        .version
}

/// Every live record: key, id, payload, expiry; sorted.
pub(crate) async fn all(store: &impl SessionStore) -> Vec<(String, String, Vec<u8>, Option<Timestamp>)> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.scan(cursor, 10).await.expect("scan");
        for entry in page.entries {
            found.push((
                entry.id.key().as_str().to_owned(),
                entry.id.id().to_owned(),
                entry.stored.payload.to_vec(),
                entry.expires_at,
            ));
        }
        cursor = page.next;
        if cursor.is_none() {
            found.sort();
            return found;
        }
    }
}
