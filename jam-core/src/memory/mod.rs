//! The in-memory store: for tests, caches and services whose sessions may end with the process.

mod of_key;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::{future, mem};

use async_trait::async_trait;

pub use self::table::{Position, Shard, Slot, Table};
use crate::{
    Clock, Cursor, Entry, Error, ErrorKind, Load, Page, Record, RecordId, Rename, Result, SessionKey, SessionStore,
    Stored, SystemClock, Timestamp, Version,
};

/// Keeps sessions in the memory of this process; they end with it.
///
/// Sharded by session key: operations on different keys rarely wait for each other, and no lock is held across an
/// await. Expired records are never returned, and are dropped as new ones come, so memory stays within about twice the
/// most that was live at once; [`remove_expired`](SessionStore::remove_expired) drops all of them now.
///
/// ```
/// use jam_core::{MemoryStore, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new());
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    table: Table,
    clock: Arc<dyn Clock>,
    closed: AtomicBool,
}

impl MemoryStore {
    /// An empty store on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that judges expiry by this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Table::new(),
            clock,
            closed: AtomicBool::new(false),
        }
    }

    /// The time, if the store is open. What changes a record asks for it with the lock held instead: nobody may write to one that
    /// somebody else has seen expire meanwhile.
    fn open(&self) -> Result<Timestamp> {
        self.check_open()?;
        Ok(self.clock.now())
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "the memory store was closed"));
        }
        Ok(())
    }
}

/// Comes back at once, but behind the other tasks of this thread: a sweep must not keep it for itself.
async fn let_others_run() {
    let mut has_run = false;
    future::poll_fn(|context| {
        if mem::replace(&mut has_run, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// The live record of that id, if its version is the expected one.
fn expect<'a>(shard: &'a mut Shard, id: &RecordId, expected: Option<&Version>, now: Timestamp) -> Result<&'a mut Slot> {
    let slot = shard
        .get_mut(id)
        .filter(|slot| slot.is_live(now))
        .ok_or(ErrorKind::NotFound)?;
    if expected.is_some_and(|expected| *expected != Version::from_counter(slot.version)) {
        return Err(ErrorKind::Conflict.into());
    }
    Ok(slot)
}

fn slot(record: &Record, version: u64) -> Slot {
    Slot {
        payload: record.payload.clone(),
        expires_at: record.expires_at,
        version,
    }
}

fn insert(shard: &mut Shard, id: &RecordId, record: &Record, now: Timestamp) -> Result<()> {
    shard.make_room(now);
    let version = shard.next_version();
    if shard.put_new(id, slot(record, version), now) {
        Ok(())
    } else {
        Err(ErrorKind::AlreadyExists.into())
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        let now = self.open()?;
        self.table.write(id.key(), |shard| insert(shard, id, record, now))
    }

    async fn load(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let now = self.open()?;
        let (stored, due) = self.table.read(id.key(), |shard| {
            let slot = shard.get(id).filter(|slot| slot.is_live(now));
            let due = how
                .renew
                .filter(|renewal| slot.is_some_and(|slot| renewal.is_due(slot.expires_at)));
            (slot.map(Slot::stored), due)
        });
        let Some(renewal) = due else { return Ok(stored) };
        // The read lock was let go in between: look again, and give what is there now.
        Ok(self.table.write(id.key(), |shard| {
            let now = self.clock.now();
            let slot = shard.get_mut(id).filter(|slot| slot.is_live(now))?;
            if renewal.is_due(slot.expires_at) {
                slot.expires_at = Some(renewal.to);
            }
            Some(slot.stored())
        }))
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        self.check_open()?;
        self.table.write(id.key(), |shard| {
            let now = self.clock.now();
            let version = shard.next_version();
            *expect(shard, id, expected, now)? = slot(record, version);
            Ok(())
        })
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        self.check_open()?;
        Ok(self.table.write(id.key(), |shard| {
            let now = self.clock.now();
            let Some(slot) = shard.get_mut(id).filter(|slot| slot.is_live(now)) else {
                return false;
            };
            slot.expires_at = slot.expires_at.map(|at| at.max(expires_at));
            true
        }))
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        self.check_open()?;
        let Rename {
            from,
            expected,
            to,
            record,
        } = rename;
        self.table.write_two(from.key(), to.key(), |source, target| {
            let now = self.clock.now();
            expect(source, from, Some(expected), now)?;
            match target {
                Some(target) => insert(target, to, record, now)?,
                None => insert(source, to, record, now)?,
            }
            source.take(from);
            Ok(())
        })
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        let now = self.open()?;
        Ok(self
            .table
            .write(id.key(), |shard| shard.take(id))
            .is_some_and(|slot| slot.is_live(now)))
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        let now = self.open()?;
        Ok(self.table.live_of_key(key, now))
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        let now = self.open()?;
        let taken = self.table.write(key, |shard| shard.take_key(key));
        Ok(taken
            .iter()
            .filter(|(id, slot)| slot.is_live(now) && !id.is_reserved())
            .count() as u64)
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        self.check_open()?;
        let mut removed = 0;
        for shard in 0..Table::SHARDS {
            removed += self.table.sweep_shard(shard, now);
            let_others_run().await;
        }
        Ok(removed)
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let now = self.open()?;
        let after = cursor.map(|cursor| Position::from_cursor(&cursor)).transpose()?;
        let (entries, next) = self.table.page(after.as_ref(), limit, now);
        Ok(Page {
            entries,
            next: next.map(|position| position.to_cursor()),
        })
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use futures_lite::future::block_on;

    use super::*;
    use crate::{ManualClock, Renewal};

    /// A clock at which one look takes long.
    #[derive(Debug)]
    struct Slow {
        clock: ManualClock,
        /// How many more looks it takes until that one; tells when it comes, and goes on when it hears something.
        slow: Mutex<Option<SlowLook>>,
    }

    type SlowLook = (usize, Sender<()>, Receiver<()>);

    impl Clock for Slow {
        fn now(&self) -> Timestamp {
            let now = self.clock.now();
            let slow = self.slow.lock().expect("a lock").take_if(|(looks, ..)| {
                let is_it = *looks == 0;
                *looks = looks.saturating_sub(1);
                is_it
            });
            if let Some((_, here, go_on)) = slow {
                here.send(()).expect("a listener");
                // Whoever waits for a lock that is held meanwhile does not come back before.
                let _ = go_on.recv_timeout(Duration::from_millis(100));
            }
            now
        }
    }

    /// Whether a session is still found after one call that came late had found it, and after another had seen it end.
    fn comes_back(looks: usize, write: impl AsyncFn(&MemoryStore, &RecordId, &Stored, Timestamp) + Sync) -> bool {
        let clock = Arc::new(Slow {
            clock: ManualClock::new(Timestamp::from_secs(1_000)),
            slow: Mutex::new(None),
        });
        let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let id = RecordId::new(SessionKey::new("user1").expect("a key"), "a").expect("an id");
        let record = Record::new("{}", Some(Timestamp::from_secs(1_001)));
        block_on(store.insert(&id, &record)).expect("insert");
        let stored = block_on(store.load(&id, Load::new())).expect("load").expect("live");
        let (here, came) = channel();
        let (go_on, goes_on) = channel();
        *clock.slow.lock().expect("a lock") = Some((looks, here, goes_on));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                block_on(write(&store, &id, &stored, Timestamp::from_secs(2_000)));
                // Where it has not looked so often, nobody waits for that.
                clock.slow.lock().expect("a lock").take();
            });
            let comes_late = came.recv().is_ok();
            clock.clock.advance(Duration::from_secs(10));
            let seen = block_on(store.list(id.key())).expect("list");
            // Nobody waits any more where it has waited for long.
            let _ = go_on.send(());
            if !comes_late || !seen.is_empty() {
                // The write came first.
                clock.clock.advance(Duration::from_secs(100_000));
            }
        });
        let entries = block_on(store.list(id.key())).expect("list");
        !entries.is_empty()
    }

    #[test]
    fn what_one_has_seen_expire_is_not_written_by_another_that_looked_at_the_clock_before() {
        for looks in 0..3 {
            assert!(!comes_back(looks, async |store, id, stored, at| {
                drop(
                    store
                        .replace(id, Some(&stored.version), &Record::new("{}", Some(at)))
                        .await,
                );
            }));
            assert!(!comes_back(looks, async |store, id, _, at| drop(
                store.touch(id, at).await
            )));
            assert!(!comes_back(looks, async |store, id, stored, at| {
                let to = RecordId::new(id.key().clone(), "b").expect("an id");
                let record = Record::new("{}", Some(at));
                drop(store.rename(Rename::new(id, &stored.version, &to, &record)).await);
            }));
            assert!(!comes_back(looks, async |store, id, _, to| {
                let renewal = Renewal { to, when_before: to };
                drop(store.load(id, Load::new().renew(Some(renewal))).await);
            }));
        }
    }
}
