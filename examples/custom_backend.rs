//! A backend of your own: a complete store in one file, as a third-party crate would publish it.
//!
//! It keeps sessions in a sorted map behind one lock. Real backends differ in where the bytes go; the promises, the
//! errors and the factory are the same. `cargo test --example custom_backend` runs the conformance suite on it.
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jam::{
    Bytes, Clock, Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey,
    SessionStore, StoreConfig, StoreFactory, Stored, Timestamp, Version,
};

// --- the store: what the crate is about ------------------------------------------------------------------------------------

/// Keeps sessions in a sorted map.
pub struct TreeStore {
    rows: Mutex<Option<Rows>>,
    last_version: AtomicU64,
    clock: Arc<dyn Clock>,
}

type Rows = BTreeMap<RecordId, Row>;

struct Row {
    payload: Bytes,
    expires_at: Option<Timestamp>,
    version: u64,
}

impl Row {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    fn stored(&self) -> Stored {
        Stored::new(self.payload.clone(), Version::from_counter(self.version)).ending(self.expires_at.into())
    }

    fn entry(&self, id: &RecordId) -> Entry {
        Entry::new(id.clone(), self.stored(), self.expires_at)
    }
}

impl TreeStore {
    /// An empty store that judges expiry by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            rows: Mutex::new(Some(Rows::new())),
            last_version: AtomicU64::new(0),
            clock,
        }
    }

    /// Puts a row there with a version no row has had, so that a new record under an old id is never taken for the old
    /// one.
    fn put(&self, rows: &mut Rows, id: &RecordId, record: &Record) {
        let version = self.last_version.fetch_add(1, Ordering::Relaxed);
        let row = Row {
            payload: record.payload.clone(),
            expires_at: record.expires_at,
            version,
        };
        rows.insert(id.clone(), row);
    }

    /// Runs one atomic step. The lock is never held across an await, so dropping a future cannot leave it behind.
    fn step<R>(&self, work: impl FnOnce(&mut Rows, Timestamp) -> Result<R>) -> Result<R> {
        let mut guard: MutexGuard<'_, Option<Rows>> = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = guard
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the tree store was closed"))?;
        work(rows, self.clock.now())
    }
}

/// Only a live row counts as being there.
fn live<'a>(rows: &'a mut Rows, id: &RecordId, now: Timestamp) -> Result<&'a mut Row> {
    rows.get_mut(id)
        .filter(|row| row.is_live(now))
        .ok_or_else(|| ErrorKind::NotFound.into())
}

fn check(row: &Row, expected: Option<&Version>) -> Result<()> {
    match expected {
        Some(expected) if *expected != Version::from_counter(row.version) => Err(ErrorKind::Conflict.into()),
        _ => Ok(()),
    }
}

// What a store shows of itself holds no id and no payload.
impl fmt::Debug for TreeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for TreeStore {
    fn name(&self) -> &'static str {
        "tree"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.step(|rows, now| {
            if live(rows, id, now).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            self.put(rows, id, record);
            Ok(())
        })
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        self.step(|rows, now| {
            let Ok(row) = live(rows, id, now) else { return Ok(None) };
            if let Some(renewal) = how.renew.filter(|renewal| renewal.is_due(row.expires_at)) {
                row.expires_at = Some(renewal.to);
            }
            Ok(Some(row.stored()))
        })
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.step(|rows, now| {
            check(live(rows, id, now)?, expected)?;
            self.put(rows, id, record);
            Ok(())
        })
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.step(|rows, now| {
            let Ok(row) = live(rows, id, now) else { return Ok(false) };
            row.expires_at = row.expires_at.map(|at| at.max(expires_at));
            Ok(true)
        })
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.step(|rows, now| {
            check(live(rows, rename.from, now)?, Some(rename.expected))?;
            if live(rows, rename.to, now).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            rows.remove(rename.from);
            self.put(rows, rename.to, rename.record);
            Ok(())
        })
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.step(|rows, now| Ok(rows.remove(id).is_some_and(|row| row.is_live(now))))
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        self.step(|rows, now| {
            let mine = rows.iter().filter(|(id, row)| id.key() == key && row.is_live(now));
            Ok(mine.map(|(id, row)| row.entry(id)).collect())
        })
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.step(|rows, now| {
            let mut count = 0;
            rows.retain(|id, row| {
                let mine = id.key() == key;
                count += u64::from(mine && row.is_live(now) && !id.is_reserved());
                !mine
            });
            Ok(count)
        })
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.step(|rows, _| {
            let before = rows.len();
            rows.retain(|_, row| row.is_live(now));
            Ok((before - rows.len()) as u64)
        })
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        // The cursor is the last id given: the length of its key, its key, its id.
        let after = cursor.as_ref().map(read_cursor).transpose()?;
        self.step(|rows, now| {
            let rest = rows
                .iter()
                .filter(|(id, row)| after.as_ref().is_none_or(|after| *id > after) && row.is_live(now));
            let entries: Vec<_> = rest.take(limit.max(1)).map(|(id, row)| row.entry(id)).collect();
            let last = entries.last().filter(|_| entries.len() >= limit.max(1));
            let next = last.map(|entry| write_cursor(&entry.id));
            Ok(Page::new(entries, next))
        })
    }

    async fn close(&self) -> Result<()> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

fn write_cursor(id: &RecordId) -> Cursor {
    Cursor::new(format!("{}:{}{}", id.key().as_str().len(), id.key().as_str(), id.id()).into_bytes())
}

fn read_cursor(cursor: &Cursor) -> Result<RecordId> {
    let parse = || {
        let (len, rest) = str::from_utf8(cursor.as_bytes()).ok()?.split_once(':')?;
        let (key, id) = rest.split_at_checked(len.parse().ok()?)?;
        RecordId::new(SessionKey::new(key).ok()?, id).ok()
    };
    parse().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "that is not a cursor of this store"))
}

// --- the factory: how the store is opened by name --------------------------------------------------------------------------

/// Opens a [`TreeStore`] from a config: `session_type = "tree"`.
#[derive(Debug)]
pub struct TreeFactory;

#[async_trait]
impl StoreFactory for TreeFactory {
    fn names(&self) -> &'static [&'static str] {
        &["tree"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        // Each field is taken by name and type; what is left then is a mistake, found before anything is opened.
        let color = config.one_of("leaf_color", &["green", "red"])?.unwrap_or("green");
        config.finish()?;
        println!("planting a tree with {color} leaves");
        Ok(Arc::new(TreeStore::new(config.clock())))
    }
}

// --- the application ------------------------------------------------------------------------------------------------------

const CONFIG: &str = r#"{"session_type": "tree", "leaf_color": "green", "ttl": 600}"#;

#[tokio::main]
async fn main() -> Result<()> {
    let mut registry = jam::registry();
    registry.register(TreeFactory);

    let config = serde_json::from_str(CONFIG).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
    let sessions = jam::Config::from_value(config).registry(registry).open().await?;

    let id = sessions.create("user1", serde_json::json!({"role": "admin"})).await?;
    let id = sessions.rework(&id).await?;
    let session = sessions.get(&id).await?.ok_or(ErrorKind::NotFound)?;
    println!("a session in a tree: {}", serde_json::json!(session.data()?));
    println!("{sessions:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::TreeStore;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_tree_store_keeps_the_contract() {
        let open = |clock| async move { Ok(TreeStore::new(clock)) };
        jam::conformance::run(open, |task| drop(tokio::spawn(task))).await;
    }
}
