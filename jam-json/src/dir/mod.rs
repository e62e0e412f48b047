//! `JsonDir`: one readable file per session, for several processes at once.

mod default_dir;
mod disk;
mod document;
mod factory;
#[cfg(test)]
mod faults;
mod folder;
#[cfg(test)]
mod forked;
mod locks;
mod moving;
mod names;
mod options;
mod pool;
mod scan;
mod sweep;
mod sweeping;
mod trouble;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_lock::RwLock;
use async_trait::async_trait;
use jam_core::{
    Cursor, Entry, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored,
    Timestamp, Version,
};

use self::disk::{Disk, Peek};
pub use self::factory::JsonDirFactory;
use self::locks::{Locks, Turn};
use self::names::Name;
pub use self::options::JsonDirOptions;
use self::sweeping::Sweep;

/// Keeps each session in a file of its own, in the manner of Django's file session store, but with nothing lost,
/// revived or swallowed. Any number of processes of one machine can use the same directory at once.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("sessions");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use jam_core::{Load, Record, RecordId, SessionKey, SessionStore};
/// use jam_json::JsonDir;
///
/// let store = JsonDir::open(&path).await?;
/// let id = RecordId::new(SessionKey::new("user1")?, "user1:6f1c")?;
/// store.insert(&id, &Record::new(r#"{"role":"admin"}"#, None)).await?;
///
/// let stored = store.load(&id, Load::new()).await?.expect("it was just inserted");
/// assert_eq!(stored.payload, r#"{"role":"admin"}"#);
/// # Ok::<(), jam_core::Error>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
///
/// # Django's file store, method by method
///
/// | `django.contrib.sessions.backends.file` | here |
/// |---|---|
/// | `load()` | [`load`](SessionStore::load). An expired file is removed when a load or list meets it (a failure of that, as on a read-only file system, is logged, the answer is the same). An error is an error, where Django gives an empty session |
/// | `save(must_create=True)`, `create()` | [`insert`](SessionStore::insert): `AlreadyExists` is Django's `CreateError`. Drawing another id is the manager's part |
/// | `save()` | [`replace`](SessionStore::replace): `NotFound` is Django's `UpdateError`, and with an expected version `Conflict`, where Django overwrites what another request saved. A failed write is an error, where Django ignores it |
/// | `exists()` | `load(..).is_some()`; an expired session does not exist |
/// | `delete()` | [`remove`](SessionStore::remove), which tells whether there was one, and whether that failed |
/// | `clear_expired()` | [`remove_expired`](SessionStore::remove_expired) |
/// | `cycle_key()`: a new file, then the old one is deleted | [`rename`](SessionStore::rename): one step |
///
/// # Files
///
/// ```text
/// <storage_path>/jam_<SHA-256 of the session key>/<SHA-256 of the record id>.json    0600: a session
/// <storage_path>/jam_<00 to ff>.lock                                                 locks of keys, never removed
/// ```
///
/// What root creates in a directory of another user is that user's. No file is created through a link of its name.
///
/// A session file is one line of JSON that `jq` reads: `key`, `id`, `expires_at`, `data` as it is, and a checksum, so
/// that any flipped bit and any missing byte is a `Corrupt` error that names the file. A payload that is no JSON object
/// on one line, or one nested too deep for other readers, stands in `data_base64`. `remove` and `clear` also end sessions
/// whose files are damaged or cannot be read (`remove` takes such a one for live, `clear` does not count it);
/// `remove_expired` sweeps everything else and then gives the error.
///
/// # What it promises
///
/// - **Readers take no lock**: they open one file, and may see a write of another process before it is durable. Writers
///   of a key take turns, within a process and between processes. `remove` and `clear` sync also where they find
///   nothing: whoever ended the session may have died before its own sync.
/// - **A scan waits for no writer**: it may leave out a session that is extended at that moment.
/// - **Every write is one rename** of a finished file, so readers and crashes see the old file or the new one. With
///   [`Durability::Sync`](crate::Durability::Sync) file and directory are synced before the write is acknowledged. If
///   the write is in place and the last sync fails, the error says
///   [`outcome_unknown`](jam_core::Error::outcome_unknown). This process then changes and syncs the directory once more
///   before it next takes the key's lock. Another process cannot know of it, and whether the second sync writes what
///   the first one could not is up to the file system.
/// - **A session that gets a new id** (also under another key) does so in one rename, too: before it, its file tells
///   both what it is under the old name and what it will be under the new one. On a file system whose renames are
///   atomic across a crash (ext4, xfs, btrfs, apfs; tmpfs has none) there is never both and never neither.
/// - **`clear` moves the key's directory away** in one step; it is deleted afterwards.
/// - **Leftovers of crashes** are removed when a store is opened and by `remove_expired`, never those of a live writer.
/// - **What has expired does not pile up** in a process that creates and also calls
///   [`remove_expired`](SessionStore::remove_expired) now and then: where more is created than a sweep removes, and most of
///   what it meets has expired, those who create help it.
/// - **Behind a device that hangs** no more than 65,536 calls wait, given-up ones included. Further ones are `Unavailable`
///   at once, with nothing done. Not counted are [`scan`](SessionStore::scan) and
///   [`remove_expired`](SessionStore::remove_expired), which wait elsewhere, and those that wait for the turn of a key that somebody
///   else changes, until they are given up: a timeout around requests bounds these.
/// - **A call is to be polled until it is done, or dropped**: one that writes, and is kept without being polled when its turn comes, keeps
///   others waiting that change a session of the same key, or of one that shares its lock.
/// - **Dropping a future** before its write has begun makes it not happen; afterwards it happens as a whole.
///
/// Locks are those of the operating system (`flock`), so use a local file system. There are at most 256 lock files,
/// however many session keys there ever were: those whose hashes begin alike share one, and wait for each other, also
/// where a process was stopped while it held it. A store keeps those it has used open until it is closed, which makes
/// writes faster, up to an eighth, each store, of what the process may have open when the store is opened (`ulimit -n`, by
/// `/proc/self/limits`; where there is none, 32): with 2,048 or more, all of them. Do not remove them while a process has
/// the store open.
///
/// In a process that was forked off with the store open, every call gives `Unavailable`: it opens a store of its own.
/// It may wait for ever there if a store was used before the fork: the threads that work for all stores of a process are
/// not there.
pub struct JsonDir {
    disk: Arc<Disk>,
    locks: Locks,
    /// Held by everybody who goes through the whole directory.
    walks: Arc<RwLock<()>>,
}

impl JsonDir {
    /// Opens the store in this directory, created if it is not there, with the default options.
    ///
    /// # Errors
    /// Those of [`JsonDirOptions::open`].
    pub async fn open(storage_path: impl AsRef<Path>) -> Result<Self> {
        Self::options().storage_path(storage_path.as_ref()).open().await
    }

    /// Options to open a store with.
    pub fn options() -> JsonDirOptions {
        JsonDirOptions::new()
    }

    /// The storage directory.
    pub fn storage_path(&self) -> &Path {
        self.disk.layout.root()
    }

    fn on(disk: Disk) -> Self {
        Self {
            disk: Arc::new(disk),
            locks: Locks::new(),
            walks: Arc::default(),
        }
    }

    /// Does blocking work elsewhere. Dropped before it has begun, it is not done; dropped later, it is done to its end.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Disk) -> Result<T> + Send + 'static) -> Result<T> {
        self.disk.open()?;
        let disk = Arc::clone(&self.disk);
        let pool = self.disk.pool.clone();
        pool.run(move || work(&disk)).await?
    }

    /// The same for work that goes through the whole directory: on a thread of its own, so that nobody waits behind it.
    async fn walk<T: Send + 'static>(&self, work: impl FnOnce(&Disk) -> Result<T> + Send + 'static) -> Result<T> {
        self.disk.here()?;
        // Before it is asked whether the store is open, so that a close either waits for this walk or stops it.
        let walking = self.walks.read_arc().await;
        self.disk.open()?;
        let disk = Arc::clone(&self.disk);
        blocking::unblock(move || {
            let _walking = walking;
            work(&disk)
        })
        .await
    }

    /// Has a sweep that falls behind what is created meanwhile helped by those who create. What is asked of the store next
    /// waits behind that help, so whoever creates more than can be removed is slowed down.
    fn help_to_sweep(&self) {
        let Some(sweep) = self.disk.sweeps.known().filter(|sweep| sweep.heed_insert()) else {
            return;
        };
        let disk = Arc::clone(&self.disk);
        self.disk.pool.start(move || {
            for _ in 0..Sweep::HELP {
                sweep.help(&disk);
            }
        });
    }

    /// Waits for the turn of a key. In a process that was forked off, who has it may not be there.
    async fn turn(&self, key: Name) -> Result<Turn> {
        self.disk.here()?;
        Ok(self.locks.one(key).await)
    }

    /// Does blocking work that writes. The turn goes along, so that it lasts as long as the work, whoever still waits.
    async fn write<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Disk) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(move |disk| {
            let _turn = turn;
            work(disk)
        })
        .await
    }
}

impl fmt::Debug for JsonDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonDir")
            .field("layout", &self.disk.layout)
            .field("durability", &self.disk.durability)
            .finish_non_exhaustive()
    }
}

fn name_of(key: &SessionKey) -> Name {
    Name::of(key.as_str())
}

#[async_trait]
impl SessionStore for JsonDir {
    fn name(&self) -> &'static str {
        "json-dir"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        let key = name_of(id.key());
        let (id, record) = (id.clone(), record.clone());
        let turn = self.turn(key).await?;
        let inserted = self.write(turn, move |disk| disk.lock(key)?.insert(&id, &record)).await;
        if inserted.is_ok() {
            self.help_to_sweep();
        }
        inserted
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let id = id.clone();
        let key = name_of(id.key());
        let peeked = id.clone();
        let expired = match self.run(move |disk| disk.peek(&peeked, how.renew)).await? {
            Peek::Done(stored) => return Ok(stored),
            Peek::Expired => true,
            Peek::LookAgain => false,
        };
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key) {
            Ok(Some(folder)) => folder.load(&id, how.renew),
            Ok(None) => Ok(None),
            Err(error) if expired => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an expired session stays until the next sweep"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        })
        .await
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        let key = name_of(id.key());
        let (id, expected, record) = (id.clone(), expected.cloned(), record.clone());
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key)? {
            Some(folder) => folder.replace(&id, expected.as_ref(), &record),
            None => Err(ErrorKind::NotFound.into()),
        })
        .await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let key = name_of(id.key());
        let id = id.clone();
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key)? {
            Some(folder) => folder.touch(&id, expires_at),
            None => Ok(false),
        })
        .await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let (from, to) = (rename.from.clone(), rename.to.clone());
        let (expected, record) = (rename.expected.clone(), rename.record.clone());
        self.disk.here()?;
        let turn = self.locks.two(name_of(from.key()), name_of(to.key())).await;
        self.write(turn, move |disk| {
            let rename = Rename::new(&from, &expected, &to, &record);
            moving::rename(disk, rename)
        })
        .await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        let key = name_of(id.key());
        let id = id.clone();
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key)? {
            Some(folder) => folder.remove(&id),
            None => Ok(false),
        })
        .await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        let key = name_of(key);
        // Under the lock, so that a session that is just getting a new id is not missed under both.
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key)? {
            Some(folder) => folder.list(),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        let key = name_of(key);
        let turn = self.turn(key).await?;
        self.write(turn, move |disk| match disk.lock_existing(key)? {
            Some(folder) => folder.clear(),
            None => Ok(0),
        })
        .await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.walk(move |disk| sweeping::expired(disk, now)).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.walk(move |disk| scan::page(disk, cursor.as_ref(), limit.max(1)))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.disk.here()?;
        self.disk.close();
        self.locks.settle().await;
        drop(self.walks.write().await);
        self.disk.let_go();
        Ok(())
    }
}
