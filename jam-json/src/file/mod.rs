//! All sessions in one readable JSON file, with a journal beside it.

mod backlog;
mod change;
mod compaction;
mod decide;
mod document;
mod errors;
mod expired;
mod factory;
mod jamlib;
mod journal;
mod journal_text;
mod log;
mod options;
mod paths;
mod recover;
mod replay;
mod report;
mod request;
mod session_text;
mod spelling;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use futures_channel::oneshot;
use jam_core::memory::{Position, Table};
use jam_core::{
    Clock, Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Renewal, Result, SessionKey,
    SessionStore, Stored, Timestamp, Version,
};

pub use self::factory::JsonFileFactory;
pub use self::options::JsonFileOptions;
pub use self::report::{Damage, Import, RecoveryReport};

use self::backlog::Backlog;
use self::errors::{closed, for_another, writer_gone};
use self::expired::has_ended;
use self::log::Log;
use self::request::{Answer, Call, Message, Request};
use self::session_text::Put;
use self::writer::{Ended, Writer};
use crate::opener::Opener;

/// Keeps all sessions in one readable JSON file.
///
/// Reads come from memory. A write is appended to a journal beside the file and is durable before it is acknowledged
/// (see [`Durability`](crate::Durability)); writes that wait at the same time share one sync. When the journal has
/// outgrown the document, the document is written anew in the background. So the cost of a write does not grow with the
/// number of sessions.
///
/// | file | what it is |
/// |---|---|
/// | `sessions.json` | the document: JSON, a session on each line, session data as JSON (sealed or other data in base64) |
/// | `sessions.json.journal-7` | the changes since, a line with a checksum for each batch of writes; gone after a close |
/// | `sessions.json.lock` | held while the store is open; stays for ever |
/// | `sessions.json.tmp` | a document that is being written |
/// | `sessions.json.jamlib` | the original of an imported `sessions.json` of Python's jamlib |
///
/// All of them can be read and written by their owner alone (mode 0600). Those that root creates are the directory's
/// owner's, and a document keeps its owner. None is created through a link, so a lock that is one must lead to a file.
///
/// A backup of a store that is open is the document and, copied after it, the `.journal-*` files. Where a compaction came
/// in between, opening the copy says that a journal is missing: copy once more. The document alone, after a
/// [`compact`](Self::compact), is the backup of a store in which no session moved to another key meanwhile (a login, say):
/// such a session may be in it under both keys or under none, which only the journal sets right. Brought back alone, with
/// no journals beside it, it is opened once with
/// [`accept_edited_document`](JsonFileOptions::accept_edited_document).
///
/// # Promises
///
/// - One process at a time can have a file open, and one store in it; a second one gets `Unavailable`. So does a process
///   that was forked off with the store open, from every call.
/// - Every operation of the contract is one step, a [`rename`](SessionStore::rename) between two session keys included.
///   No reader sees a write before it is durable.
/// - Opening after a crash gives every acknowledged write, and of those in flight each as a whole or not at all. The
///   damaged end of a journal, which a crash in the middle of a write leaves, is cut off, logged and told by
///   [`recovery`](Self::recovery). Damage anywhere else, to a single bit, is a `Corrupt` error that names the file (and
///   the offset, where one is known), and nothing is changed: there are never silently fewer sessions. (A journal cut
///   off exactly between two records, by something other than a crash, cannot be told from one that ended there; and
///   the first journal after a close, removed after a crash, cannot be told from one that was never begun.)
/// - A session that a load or list has found expired stays so while the store is open, whatever the clock says later;
///   for the next opening what counts is the clock then, unless a removal or a sweep came in between. One that looks
///   expired while writes are under way is looked at again after them. (A scan does not wait; it may leave out a session
///   that is extended at that moment.)
/// - A write that fails (disk full, I/O error, a journal that somebody removed or moved) is `Unavailable`. If the file may hold
///   a part of it, [`outcome_unknown`](Error::outcome_unknown) is set, and that file is never written to again: a new
///   document and journal are begun at once or, if that fails, by the next write. Until it works writes are refused
///   and reads go on; a read with a renewal that is due is a write. Nothing acknowledged is lost.
/// - Where the lock file is no longer the one that this store has, since somebody moved or removed it with the others, it
///   writes no document and removes no journal, for another process may have a store of its own there: from the first failure
///   on writes are `Unavailable` until it is opened anew.
/// - Behind a device that hangs no more than 65,536 calls wait, with no more than 256 MiB of payload, given-up ones
///   included. Further ones are `Unavailable` at once, with nothing done.
///
/// With [`Durability::Os`](crate::Durability::Os) this holds for a crash of the process. After a power cut the end of
/// the journal may be missing or, if the device wrote out of order, damaged in the middle, which is `Corrupt`.
///
/// # The end
///
/// [`close`](SessionStore::close) brings everything into the document. Dropping the store instead makes what was asked
/// for durable and lets go of the file, on the dropping thread, which waits for those syncs: in an async program prefer
/// `close().await`. The next open brings the document up to date. A close that fails lets go of the file, too, with
/// nothing acknowledged lost; whoever closes the same store again hears of the same failure.
///
/// ```
/// use jam_core::{Record, RecordId, SessionKey, SessionStore};
/// use jam_json::JsonFile;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.json");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = JsonFile::open(&path).await?;
/// let id = RecordId::new(SessionKey::new("user1")?, "an id")?;
/// store.insert(&id, &Record::new(r#"{"role":"admin"}"#, None)).await?;
/// store.close().await?;
/// # Ok::<(), jam_core::Error>(())
/// # })?;
/// assert!(std::fs::read_to_string(&path)?.contains(r#""data":{"role":"admin"}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonFile {
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    closed: AtomicBool,
    opener: Opener,
    /// The writer has a batch that is decided and not in the table yet.
    busy: Arc<AtomicBool>,
    /// How the writer closed the files; it takes nothing any more then.
    ended: Arc<Ended>,
    writer: Sender<Message>,
    backlog: Arc<Backlog>,
    thread: Mutex<Option<JoinHandle<()>>>,
    opened: Opened,
}

/// What is known since the store was opened.
#[derive(Debug)]
struct Opened {
    document: PathBuf,
    report: RecoveryReport,
}

impl JsonFile {
    /// The path in a config that names none.
    pub const DEFAULT_PATH: &'static str = "sessions.json";

    /// Opens the store at this path, with the default options. See [`JsonFileOptions::open`].
    ///
    /// # Errors
    /// As [`JsonFileOptions::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::options(path).open().await
    }

    /// Begins to open the store at this path. A relative path counts from the working directory at the time of `open`.
    pub fn options(path: impl Into<PathBuf>) -> JsonFileOptions {
        JsonFileOptions::new(path.into())
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.opened.report
    }

    /// The document's path, absolute.
    pub fn path(&self) -> &Path {
        &self.opened.document
    }

    /// Writes the document anew now and waits until it is in place, before a backup for example. Expired records are
    /// left out. Reads and writes go on meanwhile; what they change may be in the journal alone, or half of it (a rename
    /// between two keys) in the document.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if a file operation fails or the store was closed; nothing is lost.
    pub async fn compact(&self) -> Result<()> {
        self.check_open()?;
        let (reply, outcome) = oneshot::channel();
        self.writer
            .send(Message::Compact(reply))
            .map_err(|_| self.not_taken())?;
        outcome.await.map_err(|_| self.unanswered())?
    }

    fn start(log: Log, clock: Arc<dyn Clock>, opened: Opened) -> Result<Self> {
        let (writer, inbox) = channel();
        let table = Arc::clone(log.table());
        let (busy, ended) = (Arc::default(), Arc::default());
        let work = Writer::new(
            log,
            Arc::clone(&clock),
            Arc::clone(&busy),
            Arc::clone(&ended),
            inbox,
            writer.clone(),
        );
        let thread = thread::Builder::new()
            .name("jam-json".into())
            .spawn(|| work.run())
            .map_err(|error| Error::new(ErrorKind::Unavailable, "the system gives no thread").with_source(error))?;
        Ok(Self {
            table,
            clock,
            closed: AtomicBool::new(false),
            opener: Opener::this(),
            busy,
            ended,
            writer,
            backlog: Arc::default(),
            thread: Mutex::new(Some(thread)),
            opened,
        })
    }

    /// The time of a read, if the store is open.
    fn now(&self) -> Result<Timestamp> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let now = self.clock.now();
        self.opener.check_read(now)?;
        Ok(now)
    }

    /// Refuses when the store was closed, or the process was forked.
    fn check_open(&self) -> Result<()> {
        self.opener.check()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Queues a request before the first await, so that calls are made in the order in which they are first polled.
    async fn ask(&self, request: Request) -> Result<Answer> {
        self.check_open()?;
        let (reply, answer) = oneshot::channel();
        let counted = self.backlog.count(request.weight())?;
        let call = Call {
            request,
            reply,
            counted,
        };
        self.writer.send(Message::Write(call)).map_err(|_| self.not_taken())?;
        answer.await.map_err(|_| self.unanswered())?
    }

    /// Why the writer takes no calls.
    fn not_taken(&self) -> Error {
        if self.ended.get().is_some() {
            closed()
        } else {
            writer_gone()
        }
    }

    /// Why a call was not answered: it came too late, with nothing done for it, or the writer died on it.
    fn unanswered(&self) -> Error {
        if self.ended.get().is_some() {
            closed()
        } else {
            writer_gone().with_outcome_unknown()
        }
    }

    async fn load_in_turn(&self, id: &RecordId, renew: Option<Renewal>) -> Result<Option<Stored>> {
        let id = id.clone();
        match self.ask(Request::Load { id, renew }).await? {
            Answer::Loaded(stored) => Ok(stored),
            _ => Err(writer_gone()),
        }
    }

    async fn list_in_turn(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        match self.ask(Request::List(key.clone())).await? {
            Answer::Listed(entries) => Ok(entries),
            _ => Err(writer_gone()),
        }
    }

    /// Ends for good what was seen to have expired. `false` if it may live on: it was extended meanwhile, or a batch under
    /// way, judged by an earlier time, may do so. Asked under the lock of the shard, so that no batch begins in between
    /// that has seen it.
    fn end_expired(&self, key: &SessionKey, seen: &[RecordId], now: Timestamp) -> bool {
        self.table.write(key, |shard| {
            let lives = |id| shard.get(id).is_some_and(|slot| slot.is_live(now));
            if self.busy.load(Ordering::SeqCst) || seen.iter().any(lives) {
                return false;
            }
            for id in seen {
                expired::end(shard, id, now);
            }
            true
        })
    }

    async fn found(&self, request: Request) -> Result<bool> {
        match self.ask(request).await? {
            Answer::Found(found) => Ok(found),
            _ => Err(writer_gone()),
        }
    }

    async fn count(&self, request: Request) -> Result<u64> {
        match self.ask(request).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(writer_gone()),
        }
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl SessionStore for JsonFile {
    fn name(&self) -> &'static str {
        "json"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        self.ask(Request::Insert(Put::new(id, record))).await.map(drop)
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let now = self.now()?;
        let (stored, answered) = self.table.read(id.key(), |shard| match shard.get(id) {
            None => (None, true),
            Some(slot) if slot.is_live(now) => {
                let due = how.renew.is_some_and(|renewal| renewal.is_due(slot.expires_at));
                (Some(slot.stored()), !due)
            }
            Some(slot) => (None, has_ended(slot)),
        });
        let ended = || stored.is_none() && self.end_expired(id.key(), slice::from_ref(id), now);
        if answered || ended() {
            return Ok(stored);
        }
        // Boxed, so that a plain read carries nothing of it.
        Box::pin(self.load_in_turn(id, how.renew)).await
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        let request = Request::Replace {
            put: Put::new(id, record),
            expected: expected.cloned(),
        };
        self.ask(request).await.map(drop)
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let id = id.clone();
        self.found(Request::Touch { id, expires_at }).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let request = Request::Rename {
            from: rename.from.clone(),
            expected: rename.expected.clone(),
            to: Put::new(rename.to, rename.record),
        };
        self.ask(request).await.map(drop)
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        self.found(Request::Remove(id.clone())).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        let now = self.now()?;
        let (mut live, mut seen) = (Vec::new(), Vec::new());
        self.table.read(key, |shard| {
            for (id, slot) in shard.of_key(key) {
                if slot.is_live(now) {
                    live.push(Entry::new(id, slot.stored(), slot.expires_at));
                } else if !has_ended(slot) {
                    seen.push(id);
                }
            }
        });
        if seen.is_empty() || self.end_expired(key, &seen, now) {
            return Ok(live);
        }
        Box::pin(self.list_in_turn(key)).await
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        self.count(Request::Clear(key.clone())).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.count(Request::Expire(now)).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let now = self.now()?;
        let after = cursor.map(|cursor| Position::from_cursor(&cursor)).transpose()?;
        let (entries, next) = self.table.page(after.as_ref(), limit, now);
        Ok(Page::new(entries, next.map(|position| position.to_cursor())))
    }

    async fn close(&self) -> Result<()> {
        self.opener.check()?;
        self.closed.store(true, Ordering::Release);
        let (reply, outcome) = oneshot::channel();
        // Where it is not taken, nobody answers.
        let _ = self.writer.send(Message::Close(reply));
        if let Ok(outcome) = outcome.await {
            return outcome;
        }
        // It was closed before, or at the same time by another call. If not, the writer has died.
        self.ended.get().map_or_else(|| Err(writer_gone()), for_another)
    }
}

impl Drop for JsonFile {
    fn drop(&mut self) {
        if !self.opener.is_here() {
            // Nobody is there to wait for, and the system is not asked about a thread of another process either.
            std::mem::forget(self.take_thread());
            return;
        }
        // It fails if the writer has ended already.
        let _ = self.writer.send(Message::Stop);
        if let Some(thread) = self.take_thread() {
            let _ = thread.join();
        }
    }
}
