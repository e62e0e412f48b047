//! The writes that are tried on a failing file system: what is there before, what is done, what is there after.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jam_core::{
    ErrorKind, Load, ManualClock, Record, RecordId, Rename, Renewal, Result, SessionKey, SessionStore, Timestamp,
};

use crate::dir::JsonDir;
use crate::fs::Fs;

const NOW: Timestamp = Timestamp::from_secs(1_000);

/// Payload and expiry of every live session.
pub(super) type State = BTreeMap<RecordId, (String, Option<u64>)>;

/// Every kind of write, and the reads that write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Insert,
    InsertFirstOfKey,
    InsertOverExpired,
    Replace,
    Touch,
    Renew,
    Rename,
    RenameOverExpired,
    RenameToOtherKey,
    RenameToNewKey,
    Remove,
    Clear,
    RemoveExpired,
    LoadExpired,
}

impl Action {
    pub(super) const ALL: [Self; 14] = [
        Self::Insert,
        Self::InsertFirstOfKey,
        Self::InsertOverExpired,
        Self::Replace,
        Self::Touch,
        Self::Renew,
        Self::Rename,
        Self::RenameOverExpired,
        Self::RenameToOtherKey,
        Self::RenameToNewKey,
        Self::Remove,
        Self::Clear,
        Self::RemoveExpired,
        Self::LoadExpired,
    ];

    pub(super) async fn run(self, store: &JsonDir) -> Result<()> {
        let a = id("user1", "a");
        let new = Record::new(format!("{{\"new\":\"{}\"}}", "n".repeat(100)), Some(later(50)));
        match self {
            Self::Insert => store.insert(&id("user1", "new"), &new).await,
            Self::InsertFirstOfKey => store.insert(&id("user3", "new"), &new).await,
            Self::InsertOverExpired => store.insert(&id("user1", "expired"), &new).await,
            Self::Replace => store.replace(&a, None, &new).await,
            Self::Touch => store.touch(&a, later(70)).await.map(drop),
            Self::Renew => {
                let renewal = Renewal::new(later(80), later(60));
                store.load(&a, Load::new().renew(renewal)).await.map(drop)
            }
            Self::Rename => rename(store, &a, &id("user1", "new"), &new).await,
            Self::RenameOverExpired => rename(store, &a, &id("user1", "expired"), &new).await,
            Self::RenameToOtherKey => rename(store, &a, &id("user2", "new"), &new).await,
            Self::RenameToNewKey => rename(store, &a, &id("user3", "new"), &new).await,
            Self::Remove => store.remove(&a).await.map(drop),
            Self::Clear => store.clear(a.key()).await.map(drop),
            Self::RemoveExpired => store.remove_expired(NOW).await.map(drop),
            Self::LoadExpired => store.load(&id("user1", "expired"), Load::new()).await.map(drop),
        }
    }

    /// Runs it once more after it failed, when it may or may not have been done.
    pub(super) async fn again(self, store: &JsonDir) {
        match self.run(store).await {
            Ok(()) => {}
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists),
                "{self:?}: {error}"
            ),
        }
    }
}

async fn rename(store: &JsonDir, from: &RecordId, to: &RecordId, record: &Record) -> Result<()> {
    let stored = store.load(from, Load::new()).await?.ok_or(ErrorKind::NotFound)?;
    let expected = &stored.version;
    store.rename(Rename::new(from, expected, to, record)).await
}

pub(super) fn id(key: &str, id: &str) -> RecordId {
    RecordId::new(SessionKey::new(key).expect("a key"), id).expect("an id")
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(super) async fn open(path: &Path, fs: impl Fs) -> Result<JsonDir> {
    let clock = Arc::new(ManualClock::new(NOW));
    JsonDir::options()
        .storage_path(path)
        .clock(clock)
        .fs(Arc::new(fs))
        .open()
        .await
}

/// What is there before every action.
pub(super) async fn set_up(store: &JsonDir) {
    for (key, name, expires_at) in [
        ("user1", "a", Some(later(50))),
        ("user1", "b", None),
        ("user1", "expired", Some(NOW)),
        ("user2", "c", Some(later(50))),
    ] {
        let record = Record::new(format!("{{\"is\":\"{key} {name}\"}}"), expires_at);
        store.insert(&id(key, name), &record).await.expect("set up");
    }
}

/// What a store holds; by listing, by loading one by one, and by a scan, which must all say the same.
pub(super) async fn state(store: &JsonDir) -> State {
    let mut listed = State::new();
    for key in ["user1", "user2", "user3"] {
        for entry in store.list(id(key, "-").key()).await.expect("nothing is damaged") {
            let payload = String::from_utf8(entry.stored.payload.to_vec()).expect("text");
            listed.insert(entry.id, (payload, entry.expires_at.map(Timestamp::as_millis)));
        }
    }
    for key in ["user1", "user2", "user3"] {
        for name in ["a", "b", "c", "expired", "new"] {
            let id = id(key, name);
            let loaded = store.load(&id, Load::new()).await.expect("nothing is damaged");
            let loaded = loaded.map(|stored| stored.payload.to_vec());
            assert_eq!(loaded, listed.get(&id).map(|(payload, _)| payload.clone().into_bytes()));
        }
    }
    let page = store.scan(None, 100).await.expect("nothing is damaged");
    assert_eq!(page.entries.len(), listed.len());
    listed
}
