//! The store: what the contract asks for, sent to the task that does it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jam_core::{
    Clock, Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore,
    Stored, Timestamp, Version,
};
use sqlx::SqlitePool;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::SqliteOptions;
use crate::backlog::{Backlog, Reply};
use crate::lane::Lane;
use crate::patience::LockWaits;
use crate::reader::Reader;
use crate::request::{Answer, Call, Found, Message, Place, Put, Read, Request};
use crate::space::Space;
use crate::statements::Statements;
use crate::trouble::{closed, confused, for_another, task_gone};
use crate::writer::{Ended, Writer};

/// Keeps sessions in a SQLite database: a file of its own, a table in the application's, or one in memory.
///
/// # The table
///
/// `jam_sessions`, or what [`SqliteOptions::table`] says. A table `jam_schema` beside it notes its version.
///
/// | column | |
/// |---|---|
/// | `session_key` | whose session; text, compared byte by byte |
/// | `session_id` | where jam keeps it; with hashed ids no secret |
/// | `data` | the session's JSON object as text, so that `data ->> '$.role'` works; anything else (sealed data) as a blob |
/// | `expires_at` | milliseconds since 1970 UTC, NULL: never |
/// | `sweep_at` | when a sweep looks at the record next; indexed |
///
/// Writes that prolong a life leave `sweep_at` alone, so they need not touch an index; a sweep that looks at a record which
/// has not expired sets it to the expiry of that moment. A trigger moves it when an expiry becomes an earlier one. Rows may be
/// added by hand without it.
///
/// A version, for compare-and-swap, is the data itself: an edit by hand is noticed as well, and A, B, A may match.
///
/// # Reads and writes
///
/// One task writes. It takes what waits, up to 256 calls, into one transaction: one commit and one sync for all, and each call
/// is acknowledged or refused by itself. Calls of one kind take one trip to the connection's thread. Other tasks read, each on a connection of its own,
/// and do not wait for writes; reads that wait together are answered by one statement. A read sees every write that was
/// acknowledged before it began. Statements are prepared once per connection.
///
/// At most 65,536 writes, with 256 MiB of data, and as many reads wait for their answers. While a disk hangs, calls beyond
/// that are `Unavailable` at once, and nothing is done; calls whose callers have given up count until their turn comes.
///
/// Every operation of the contract is one step, a [`rename`](SessionStore::rename) between two session keys included. What
/// finds a record expired asks again in turn with the writes, of other processes too, and removes it, so that nothing comes
/// back that was seen to have ended, also when a clock is turned back. (Where the database refuses that, as a read-only or full one
/// does, the record stays until later, and the answer is the same.) A scan does not wait; it may leave out a session that is
/// prolonged at that moment.
///
/// # Several processes
///
/// They may share a file on a local disk. A write waits while another one has the lock, at most for
/// [`SqliteOptions::busy_timeout`]; then it is `Unavailable` and may be tried again. So does a read where there is no write-ahead
/// log. Their clocks should agree.
///
/// # The file
///
/// - It is made readable and writable for its owner alone (0600), as are the log (`-wal`) and its index (`-shm`) beside it,
///   which are there while a process has it open, and after a crash. A backup is made with `sqlite3 sessions.db ".backup ..."`.
/// - It uses a write-ahead log; see [`Durability`](crate::Durability) for what a write survives.
/// - **It does not grow for ever.** [`remove_expired`](SessionStore::remove_expired) removes 200 records at a time, with others
///   in between, and then gives free pages back to the file system, 1 MiB at a time (`auto_vacuum = INCREMENTAL`), until a
///   quarter of the file or 1 MiB is free. The log begins anew after 8 MiB, when nobody reads from it; where readers follow
///   each other without a gap it is cut at 64 MiB, for which writes wait for up to 0.2 s. A single reader that stays for
///   longer (a backup, a shell) lets it grow meanwhile.
/// - A file that is no SQLite database, holds somebody else's tables, or a table of a later version is refused and left as it
///   is. SQLite keeps checksums in the log and none in the database file: damage there is an error where it breaks the
///   structure (`Corrupt`; single reads of sessions that are elsewhere go on), and goes unnoticed inside a value unless the data is sealed. A file cut to length 0 is a new one.
/// - A write that fails (disk full, I/O error, read-only file) is `Unavailable`, and the others of its transaction are tried
///   without it. If syncing failed, whether it is there after a crash is not known, and
///   [`outcome_unknown`](Error::outcome_unknown) is set. Later writes work once the cause is gone; connections are opened anew
///   where that may help. A database file that was removed or replaced is neither
///   written nor read until it is back (on Unix; elsewhere an open file cannot be). A write that finds so afterwards, having waited
///   for a lock perhaps, is `Unavailable` with [`outcome_unknown`](Error::outcome_unknown).
///
/// # The application's own database
///
/// [`from_pool`](Self::from_pool) makes the table there, and changes no setting of the database: what a write survives, and how it
/// waits for locks, is what the pool's connections are set to. A transaction that the application has left open on a connection which
/// it gave back is rolled back. Use the write-ahead log (`journal_mode = WAL`), or reads and
/// writes wait for each other, as they do in memory. So while the application has a transaction open that has written, calls wait,
/// and who awaits one before the commit gets `Unavailable` after [`SqliteOptions::busy_timeout`]. Leave sqlx's feature
/// `sqlite-unlock-notify` off where connections share a cache, as those of `sqlite::memory:` do: with it the driver waits there
/// without an end, and such a call never ends. Free pages go back to the file system by themselves with `auto_vacuum = FULL`; with `INCREMENTAL`
/// they do when the application runs `PRAGMA incremental_vacuum`, since some may be its own.
/// [`close`](SessionStore::close) leaves the pool open.
///
/// # The runtime
///
/// The tasks run on the tokio runtime on which the store was opened; when that ends, calls are `Unavailable`. Dropping the
/// store ends the tasks once what waits is done.
#[derive(Debug)]
pub struct SqliteStore {
    clock: Arc<dyn Clock>,
    closed: AtomicBool,
    writer: mpsc::UnboundedSender<Message>,
    readers: mpsc::UnboundedSender<Read>,
    waits: LockWaits,
    /// Those that have no answer yet. Reads do not wait for writes, so they are counted by themselves.
    writes: Arc<Backlog>,
    reads: Arc<Backlog>,
    /// Each task holds the other end while it works.
    writing: watch::Sender<()>,
    reading: watch::Sender<()>,
    ended: Arc<Ended>,
}

/// What the tasks of a store need.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) writer: Lane,
    pub(crate) readers: Vec<Lane>,
    pub(crate) space: Space,
    pub(crate) statements: Arc<Statements>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) patience: Duration,
    /// How much later than its clock says a call may come to be decided.
    pub(crate) lead: Duration,
}

impl SqliteStore {
    /// The path in a config that names none.
    pub const DEFAULT_PATH: &'static str = "sessions.db";

    /// How many expired records are removed in one step, which holds the lock.
    const SWEEP_STEP: u32 = 200;

    /// Opens the store in this file, with the default options. See [`SqliteOptions::open`].
    ///
    /// # Errors
    /// As [`SqliteOptions::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::options(path).open().await
    }

    /// Begins to open the store in this file. A relative path counts from the working directory at the time of `open`.
    pub fn options(path: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions::file(path.into())
    }

    /// Keeps sessions in a table of the application's own database; the table is made if there is none.
    ///
    /// # Errors
    /// As [`SqliteOptions::open`].
    pub async fn from_pool(pool: SqlitePool) -> Result<Self> {
        SqliteOptions::from_pool(pool).open().await
    }

    pub(crate) fn start(tasks: Tasks) -> Self {
        let (writer, writes) = mpsc::unbounded_channel();
        let (readers, reads) = mpsc::unbounded_channel();
        let (writing, written) = watch::channel(());
        let (reading, read) = watch::channel(());
        let reads = Arc::new(Mutex::new(reads));
        let waits = LockWaits::default();
        let ended: Arc<Ended> = Arc::default();
        for lane in tasks.readers {
            let reader = Reader {
                lane,
                statements: Arc::clone(&tasks.statements),
                original: tasks.space.original().cloned(),
                patience: tasks.patience,
                inbox: Arc::clone(&reads),
            };
            let read = read.clone();
            tokio::spawn(async move {
                reader.run().await;
                drop(read);
            });
        }
        let work = Writer {
            lane: tasks.writer,
            statements: tasks.statements,
            clock: Arc::clone(&tasks.clock),
            patience: tasks.patience,
            waits: waits.clone(),
            locked: None,
            lead: tasks.lead,
            space: tasks.space,
            ended: Arc::clone(&ended),
            inbox: writes,
        };
        tokio::spawn(async move {
            work.run().await;
            drop(written);
        });
        Self {
            clock: tasks.clock,
            closed: AtomicBool::new(false),
            writer,
            readers,
            waits,
            writes: Arc::default(),
            reads: Arc::default(),
            writing,
            reading,
            ended,
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Queues a request before the first await. Of those that wait together any may come first.
    async fn ask(&self, request: Request) -> Result<Answer> {
        self.check_open()?;
        let (reply, answer) = self.writes.count(request.weight())?;
        let queued = self.waits.queued();
        let call = Call { request, queued, reply };
        self.writer.send(Message::Write(call)).map_err(|_| self.not_taken())?;
        answer.await.map_err(|_| task_gone().with_outcome_unknown())?
    }

    async fn read<T>(&self, read: impl FnOnce(Reply<T>) -> Read) -> Result<T> {
        self.check_open()?;
        let (reply, answer) = self.reads.count(0)?;
        self.readers.send(read(reply)).map_err(|_| self.not_taken())?;
        answer.await.map_err(|_| self.not_taken())?
    }

    /// Why a task takes no calls.
    fn not_taken(&self) -> Error {
        if self.closed.load(Ordering::Acquire) {
            closed()
        } else {
            task_gone()
        }
    }

    async fn done(&self, request: Request) -> Result<()> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            _ => Err(confused()),
        }
    }

    async fn found(&self, request: Request) -> Result<bool> {
        match self.ask(request).await? {
            Answer::Found(found) => Ok(found),
            _ => Err(confused()),
        }
    }

    async fn count(&self, request: Request) -> Result<u64> {
        match self.ask(request).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(confused()),
        }
    }

    async fn load_in_turn(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let place = id.into();
        match self
            .ask(Request::Load {
                place,
                renew: how.renew,
            })
            .await?
        {
            Answer::Loaded(stored) => Ok(stored),
            _ => Err(confused()),
        }
    }

    /// The error for a version that this store has not made, so that the record cannot have it.
    async fn foreign_version(&self, id: &RecordId) -> Error {
        match self.load_in_turn(id, Load::new()).await {
            Ok(Some(_)) => ErrorKind::Conflict.into(),
            Ok(None) => ErrorKind::NotFound.into(),
            Err(error) => error,
        }
    }

    /// Gives free pages back, step by step, so that others get their turn in between.
    async fn shrink(&self) -> Result<()> {
        loop {
            let (reply, more) = oneshot::channel();
            let message = Message::Shrink(self.waits.queued(), reply);
            self.writer.send(message).map_err(|_| self.not_taken())?;
            if !more.await.map_err(|_| self.not_taken())?? {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.done(Request::Insert(Put::new(id, record))).await
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let place = Place::from(id);
        let found: Option<Found> = self.read(|reply| Read::Find(place, reply)).await?;
        let Some(found) = found else { return Ok(None) };
        let due = how.renew.is_some_and(|renewal| renewal.is_due(found.expires_at));
        if due || !found.is_live(self.clock.now()) {
            // A writer that was judged by an earlier time may be about to prolong what looks expired, so that waits for
            // its turn as well. Boxed, so that a plain read carries nothing of it.
            return Box::pin(self.load_in_turn(id, how)).await;
        }
        Ok(Some(found.stored))
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        let put = Put::new(id, record);
        let Some(expected) = expected else {
            return self.done(Request::Overwrite(put)).await;
        };
        match expected.as_content() {
            Some(expected) => {
                let expected = expected.clone();
                self.done(Request::Swap { put, expected }).await
            }
            None => Err(self.foreign_version(id).await),
        }
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let place = id.into();
        self.found(Request::Touch { place, to: expires_at }).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let Some(expected) = rename.expected.as_content() else {
            return Err(self.foreign_version(rename.from).await);
        };
        let request = Request::Rename {
            from: rename.from.into(),
            expected: expected.clone(),
            to: Put::new(rename.to, rename.record),
        };
        self.done(request).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.found(Request::Remove(id.into())).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        let entries = self.read(|reply| Read::List(key.clone(), reply)).await?;
        let now = self.clock.now();
        if entries.iter().all(|entry| is_live(entry, now)) {
            return Ok(entries);
        }
        // As with a load.
        match self.ask(Request::List(key.clone())).await? {
            Answer::Listed(entries) => Ok(entries),
            _ => Err(confused()),
        }
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.count(Request::Clear(key.clone())).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        let mut total = 0;
        loop {
            let limit = Self::SWEEP_STEP;
            let Answer::Swept { removed, seen } = self.ask(Request::Expire { by: now, limit }).await? else {
                return Err(confused());
            };
            total += removed;
            if seen < u64::from(limit) {
                break;
            }
        }
        if let Err(error) = self.shrink().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "free space could not be given back after a sweep; the next one tries again"
            );
        }
        Ok(total)
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        // Before the page is read: what is prolonged in between is in it, and not left out for how it was.
        let now = self.clock.now();
        let mut page = self.read(|reply| Read::Scan(cursor, limit, reply)).await?;
        page.entries.retain(|entry| is_live(entry, now));
        Ok(page)
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        // Neither can be sent if the task has ended already. The readers go first, so that the writer's connection is
        // the last one and takes the log along.
        let _ = self.readers.send(Read::Close);
        self.reading.closed().await;
        let (reply, outcome) = oneshot::channel();
        let _ = self.writer.send(Message::Close(reply));
        let outcome = outcome.await;
        self.writing.closed().await;
        // It was closed before, or at the same time by another call, if nobody answers.
        outcome.unwrap_or_else(|_| self.ended.get().map_or(Ok(()), for_another))
    }
}

fn is_live(entry: &Entry, now: Timestamp) -> bool {
    entry.expires_at.is_none_or(|at| at > now)
}
