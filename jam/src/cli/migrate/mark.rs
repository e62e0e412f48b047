//! The mark a migration leaves in its target, so that nobody fills it twice.

use jam_core::{Error, ErrorKind, Load, Record, RecordId, Result, SessionKey, Timestamp, Version};
use serde_json::{Value, json};

use super::Store;
use crate::cli::failure::Failure;
use crate::cli::rfc3339;

/// The session key the mark is kept under. Clearing it takes the mark away, on purpose.
const KEY: &str = "jam-migration";
/// Ends with `~`, so that nothing takes it for a session.
const ID: &str = "target~";

/// How far the migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Finished,
}

/// What the mark says, and which version of it that is.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    migration: String,
    state: State,
    at: Timestamp,
    version: Version,
}

/// Whether this record is such a mark.
pub(in crate::cli) fn is_mark(id: &RecordId) -> bool {
    id.id() == ID && id.key().as_str() == KEY
}

fn id() -> Result<RecordId> {
    RecordId::new(SessionKey::new(KEY)?, ID)
}

fn record(migration: &str, state: State, at: Timestamp) -> Record {
    let state = match state {
        State::Running => "running",
        State::Finished => "finished",
    };
    let mark = json!({"jam_migration": 1, "migration": migration, "state": state, "at": at.as_millis()});
    Record::new(mark.to_string(), None)
}

impl Mark {
    /// The mark in this store.
    pub(super) async fn find(store: &Store) -> Result<Option<Self>> {
        let Some(stored) = store.load(&id()?, Load::new().fresh()).await? else {
            return Ok(None);
        };
        let read = || {
            let mark: Value = serde_json::from_slice(&stored.payload).ok()?;
            let state = match mark.get("state")?.as_str()? {
                "running" => State::Running,
                "finished" => State::Finished,
                _ => return None,
            };
            Some(Self {
                migration: mark.get("migration")?.as_str()?.to_owned(),
                state,
                at: Timestamp::from_millis(mark.get("at")?.as_u64()?),
                version: stored.version.clone(),
            })
        };
        let corrupt = || Error::new(ErrorKind::Corrupt, "the mark of an earlier migration cannot be read");
        read().map(Some).ok_or_else(corrupt)
    }

    /// Marks an empty store as the target of this migration. Of two that try, one succeeds.
    pub(super) async fn set(store: &Store, migration: &str, now: Timestamp) -> Result<Self, Failure> {
        let set = store.insert(&id()?, &record(migration, State::Running, now)).await;
        match set {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Failure::refused("another migration into TO has just begun"));
            }
            set => set.map_err(|error| Failure::from(error).about("TO"))?,
        }
        let vanished = || Failure::unforeseen("the mark in TO has vanished; somebody else writes to TO");
        let found = Self::find(store).await;
        found
            .map_err(|error| Failure::from(error).about("TO"))?
            .ok_or_else(vanished)
    }

    /// Says that the migration has come to its end.
    pub(super) async fn finish(&self, store: &Store, now: Timestamp) -> Result<()> {
        let record = record(&self.migration, State::Finished, now);
        store.replace(&id()?, Some(&self.version), &record).await
    }

    /// A store that is half filled itself is no source: whoever migrates from it would lose the other half.
    pub(super) async fn refuse_half_filled_source(source: &Store) -> Result<(), Failure> {
        match Self::find(source)
            .await
            .map_err(|error| Failure::from(error).about("FROM"))?
        {
            Some(mark) if mark.state == State::Running => Err(Failure::refused(format!(
                "FROM is itself the target of a migration that began at {} and has not come to its end",
                rfc3339::readable(mark.at)
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn is_of(&self, migration: &str) -> bool {
        self.migration == migration
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// When it was written.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }
}
