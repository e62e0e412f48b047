//! One case's surroundings: a freshly opened store, its time, keys nobody else uses, and tasks to race with.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::hand::Hand;
use super::report::{Failure, Unmet, Verdict};
use super::tasks::{Gate, Spawner, give_way, spawn};
use crate::{
    Clock, Entry, Load, ManualClock, Record, RecordId, Rename, Result, SessionKey, SessionStore, Stored, Timestamp,
    Version,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Who tells the store what time it is.
#[derive(Clone, Debug)]
pub(super) enum Time {
    /// The suite, through a clock that it turns.
    Turned(Arc<ManualClock>),
    /// Somebody else, who agrees with the system's clock within less than a minute; it was this when the trial began.
    Real(Timestamp),
}

/// How a record comes to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// It gets an expiry in the past.
    Past,
    /// The clock is turned beyond its expiry.
    Turned,
}

/// Opens the store of this trial once more.
pub(super) type Reopen =
    Box<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<Arc<dyn SessionStore>>> + Send>> + Send + Sync>;

pub(super) struct Trial {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) second: Option<Arc<dyn SessionStore>>,
    pub(super) reopen: Reopen,
    pub(super) time: Time,
    pub(super) spawner: Spawner,
    pub(super) intensity: usize,
    /// How a record is looked at that another handle may have written.
    pub(super) look: Load,
    prefix: String,
    keys: Mutex<BTreeSet<SessionKey>>,
}

impl Trial {
    pub(super) fn new(
        store: Arc<dyn SessionStore>,
        second: Option<Arc<dyn SessionStore>>,
        reopen: Reopen,
        time: Time,
        spawner: Spawner,
        intensity: usize,
        look: Load,
    ) -> Self {
        Self {
            store,
            second,
            reopen,
            time,
            spawner,
            intensity,
            look,
            prefix: format!("jam-conformance-{}-", uuid::Uuid::new_v4().simple()),
            keys: Mutex::default(),
        }
    }

    /// Clears what the case has left behind and closes the store.
    pub(super) async fn finish(&self) -> Verdict {
        let keys = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        for key in keys {
            // The verdict is the case's; one that has closed the store cannot clear it any more.
            let _ = self.store.clear(&key).await;
        }
        Ok(self.close().await?)
    }

    /// Closes the store, and its second handle if there is one.
    pub(super) async fn close(&self) -> Result<()> {
        if let Some(second) = &self.second {
            second.close().await?;
        }
        self.store.close().await
    }

    /// A session key of this trial alone that ends in `name`.
    pub(super) fn key(&self, name: &str) -> Result<SessionKey> {
        let key = SessionKey::new(format!("{}{name}", self.prefix))?;
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone());
        Ok(key)
    }

    /// How many bytes of a key of this trial come before its name.
    pub(super) fn prefix_len(&self) -> usize {
        self.prefix.len()
    }

    /// A record id under the trial's main key.
    pub(super) fn id(&self, id: impl AsRef<str>) -> Result<RecordId> {
        RecordId::new(self.key("main")?, id)
    }

    /// Two free ids to move a record between: within one key, and from one key to another.
    pub(super) fn moves(&self) -> Result<[(RecordId, RecordId); 2]> {
        Ok([
            (self.id("within/from")?, self.id("within/to")?),
            (self.id("across/from")?, RecordId::new(self.key("other")?, "across/to")?),
        ])
    }

    /// The time by the clock, or when the trial began where the clock is not the suite's: near enough, and the same in
    /// every step.
    pub(super) fn now(&self) -> Timestamp {
        match &self.time {
            Time::Turned(clock) => clock.now(),
            Time::Real(start) => *start,
        }
    }

    /// When the records of a trial usually expire.
    pub(super) fn later(&self) -> Timestamp {
        self.now().plus(HOUR)
    }

    /// A time that is surely over.
    pub(super) fn past(&self) -> Timestamp {
        self.now().minus(MINUTE)
    }

    /// Turns the clock, if it can be turned, forward or back.
    pub(super) fn turn(&self, to: Timestamp) {
        if let Time::Turned(clock) = &self.time {
            clock.set(to);
        }
    }

    /// The ways in which a record can expire here.
    pub(super) fn ways(&self) -> &'static [Way] {
        match self.time {
            Time::Turned(_) => &[Way::Past, Way::Turned],
            Time::Real(_) => &[Way::Past],
        }
    }

    /// A record that expires in an hour.
    pub(super) fn record(&self, payload: impl Into<crate::Bytes>) -> Record {
        Record::new(payload, Some(self.later()))
    }

    /// Inserts a record that expires in an hour, and gives its version.
    pub(super) async fn put(&self, id: &RecordId, payload: &'static str) -> Result<Version, Unmet> {
        self.store.insert(id, &self.record(payload)).await?;
        self.version(id).await
    }

    /// A row of new records, with their versions.
    pub(super) async fn row(&self, round: usize, len: usize) -> Result<Vec<(RecordId, Version)>, Unmet> {
        let mut row = Vec::new();
        for number in 0..len {
            let id = self.id(format!("{round} {number}"))?;
            let version = self.put(&id, "one").await?;
            row.push((id, version));
        }
        Ok(row)
    }

    /// Lets the live record at `id` expire.
    pub(super) async fn expire(&self, id: &RecordId, way: Way) -> Result<(), Unmet> {
        match way {
            Way::Past => {
                let record = Record::new("expired", Some(self.past()));
                self.store.replace(id, None, &record).await?;
            }
            Way::Turned => {
                let ends = self.now().plus(SECOND);
                self.store
                    .replace(id, None, &Record::new("expired", Some(ends)))
                    .await?;
                self.turn(ends);
            }
        }
        Ok(())
    }

    pub(super) async fn load(&self, id: &RecordId) -> Result<Option<Stored>> {
        self.store.load(id, self.look).await
    }

    /// The version of a record that has to be there.
    pub(super) async fn version(&self, id: &RecordId) -> Result<Version, Unmet> {
        let stored = self.load(id).await?;
        let stored = stored.ok_or_else(|| Unmet::new("a record that was just written is there", "there is none"))?;
        Ok(stored.version)
    }

    /// The entry of a record in the listing of its key.
    pub(super) async fn entry(&self, id: &RecordId) -> Result<Option<Entry>, Unmet> {
        let mut entries = self.store.list(id.key()).await?;
        entries.retain(|entry| entry.id == *id);
        if entries.len() > 1 {
            return Err(Unmet::new(
                "a record is listed once",
                format!("{} times", entries.len()),
            ));
        }
        Ok(entries.pop())
    }

    /// The expiry of a record that has to be listed.
    pub(super) async fn expiry(&self, id: &RecordId) -> Result<Option<Timestamp>, Unmet> {
        let entry = self.entry(id).await?;
        entry
            .map(|entry| entry.expires_at)
            .ok_or_else(|| Unmet::new("a live record is listed", "it is not"))
    }

    /// How these records are now, to find out what an operation has changed.
    pub(super) async fn look(&self, ids: &[&RecordId]) -> Result<Vec<Option<Seen>>, Unmet> {
        let mut seen = Vec::new();
        for id in ids {
            let (stored, entry) = (self.load(id).await?, self.entry(id).await?);
            if stored.is_some() != entry.is_some() {
                return Err(Unmet::new(
                    "load and list agree on whether a record is there",
                    format!("loaded: {}, listed: {}", stored.is_some(), entry.is_some()),
                ));
            }
            seen.push(stored.zip(entry).map(|(stored, entry)| Seen {
                stored,
                expires_at: entry.expires_at,
            }));
        }
        Ok(seen)
    }

    /// Renames, with a new record that expires in an hour.
    pub(super) async fn rename(
        &self,
        from: &RecordId,
        expected: &Version,
        to: &RecordId,
        payload: &'static str,
    ) -> Result<()> {
        let record = &self.record(payload);
        self.store
            .rename(Rename {
                from,
                expected,
                to,
                record,
            })
            .await
    }

    /// The hand of the n-th task: the store and, where there is one, its second handle in turn.
    pub(super) fn hand(&self, task: usize) -> Hand {
        let second = self.second.as_ref().filter(|_| task % 2 == 1);
        Hand {
            store: Arc::clone(second.unwrap_or(&self.store)),
            look: self.look,
        }
    }

    /// So often, times the intensity asked for.
    pub(super) fn times(&self, base: usize) -> usize {
        base * self.intensity
    }

    /// The rounds of a race: so many, times the intensity asked for. A store that is quick about them gets more, since
    /// the shorter its steps are the more seldom they meet.
    pub(super) fn rounds(&self, base: usize) -> impl Iterator<Item = usize> + use<> {
        const MORE: usize = 50;
        const QUICK: Duration = Duration::from_millis(60);
        let (least, quick) = (
            self.times(base),
            QUICK * u32::try_from(self.intensity).unwrap_or(u32::MAX),
        );
        let start = Instant::now();
        (0..least * MORE).take_while(move |&round| round < least || start.elapsed() < quick)
    }

    /// Runs two kinds of work as tasks that start together, and waits for all of them. `round` varies their order.
    pub(super) async fn race<A, B>(
        &self,
        round: usize,
        ones: impl IntoIterator<Item = impl Future<Output = A> + Send + 'static>,
        others: impl IntoIterator<Item = impl Future<Output = B> + Send + 'static>,
    ) -> Verdict<(Vec<A>, Vec<B>)>
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        let (ones, others): (Vec<_>, Vec<_>) = (ones.into_iter().collect(), others.into_iter().collect());
        let gate = Gate::of(ones.len() + others.len());
        let ones: Vec<_> = (ones.into_iter().enumerate())
            .map(|(task, work)| spawn(&self.spawner, start(Arc::clone(&gate), [round, 0, task], work)))
            .collect();
        let others: Vec<_> = (others.into_iter().enumerate())
            .map(|(task, work)| spawn(&self.spawner, start(Arc::clone(&gate), [round, 1, task], work)))
            .collect();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for one in ones {
            first.push(one.await?);
        }
        for other in others {
            second.push(other.await?);
        }
        Ok((first, second))
    }

    /// Runs tasks that start together, and waits for all of them.
    pub(super) async fn together<T: Send + 'static>(
        &self,
        round: usize,
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Verdict<Vec<T>> {
        let none: [std::future::Ready<()>; 0] = [];
        Ok(self.race(round, tasks, none).await?.0)
    }
}

/// Waits for the others, then a moment that differs from round to round and from task to task, so that tasks meet at
/// different steps and in every order.
async fn start<T>(gate: Arc<Gate>, seed: [usize; 3], work: impl Future<Output = T>) -> T {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let delay = hasher.finish();
    gate.pass().await;
    // Every other round in close order, so that steps which take one turn of the runtime meet as well.
    for _ in 0..(delay % 4) * (seed[0] as u64 % 2) {
        give_way().await;
    }
    let jitter = [10, 100, 500][seed[0] % 3];
    for _ in 0..(delay >> 32) % jitter {
        hint::spin_loop();
    }
    work.await
}

/// A record as load and list show it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) stored: Stored,
    pub(super) expires_at: Option<Timestamp>,
}

/// That records are as they were.
#[track_caller]
pub(super) fn unchanged(what: &str, before: &[Option<Seen>], after: &[Option<Seen>]) -> Verdict {
    for (number, (before, after)) in before.iter().zip(after).enumerate() {
        let changed = match (before, after) {
            (Some(_), None) => "is gone",
            (None, Some(_)) => "has come into being",
            (Some(before), Some(after)) if before.stored.payload != after.stored.payload => "has another payload",
            (Some(before), Some(after)) if before.expires_at != after.expires_at => "has another expiry",
            (Some(before), Some(after)) if before.stored.version != after.stored.version => "has another version",
            _ => continue,
        };
        let which = if number == 0 {
            "the first record"
        } else {
            "another record"
        };
        return Err(Failure::new(
            format!("{what}: everything as before"),
            format!("{which} {changed}"),
        ));
    }
    Ok(())
}
