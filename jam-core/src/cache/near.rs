//! What was read, until it expires or somebody makes forget it.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::{Lease, Moment};
use crate::{Clock, Ends, RecordId, SessionKey, Stored, SystemClock, Version};

/// A bounded cache of records that forgets all records of a session key in one step, and never keeps what was read before
/// that step.
///
/// ```
/// use std::time::Duration;
/// use jam_core::cache::NearCache;
/// use jam_core::{Bytes, Ends, RecordId, SessionKey, Stored, Version};
///
/// let near = NearCache::new(10_000);
/// let id = RecordId::new(SessionKey::new("user1")?, "a")?;
///
/// let ticket = near.ticket(id.key()); // before the read is sent
/// let stored = Stored::new(Bytes::from_static(b"{}"), Version::from_counter(1)).ending(Ends::Never);
/// near.keep(&id, ticket, &stored, Duration::from_secs(60), None);
/// assert!(near.get(&id).is_some());
///
/// near.forget("user1"); // somebody wrote
/// assert!(near.get(&id).is_none());
/// # Ok::<(), jam_core::Error>(())
/// ```
pub struct NearCache {
    kept: Cache<Place, Arc<Kept>, InUnits, BuildHasherDefault<PlaceHasher>>,
    /// One for each group of session keys: how often something was to be forgotten in it, and in the lower bits how many of one's
    /// own writes are under way. A record counts only as long as the number is what it was when it was asked for, so there
    /// is no moment at which it could slip in again; and nothing that is asked for during a write is kept.
    forgotten: Box<[AtomicU64]>,
    all_forgotten: AtomicU64,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
}

/// A record, and what it was read under.
struct Kept {
    stored: Stored,
    ticket: Ticket,
    lasts: Duration,
    lease: Option<Arc<Lease>>,
}

/// Where a record is kept: two hashes of its id under a secret of this cache, 128 bits, which stand for the id. That two
/// ids have the same is as likely as that somebody guesses one, and whoever chooses ids cannot aim at it. Unlike
/// the texts of an id it lies within the table, so that nothing is fetched from elsewhere to compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u64, u64);

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// The hash of a place is the first half of it.
#[derive(Debug, Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a record counts as.
#[derive(Clone, Debug)]
struct InUnits;

impl Weighter<Place, Arc<Kept>> for InUnits {
    fn weight(&self, _: &Place, kept: &Arc<Kept>) -> u64 {
        1 + (kept.stored.payload.len() / NearCache::UNIT) as u64
    }
}

/// An empty cache. Its parts have a lock each, and none takes a record that is larger than the part.
fn parted(capacity: u64) -> Cache<Place, Arc<Kept>, InUnits, BuildHasherDefault<PlaceHasher>> {
    let parts = thread::available_parallelism().map_or(1, usize::from).saturating_mul(4);
    let capacity_in_all = usize::try_from(capacity).unwrap_or(usize::MAX);
    let parts = parts.min(capacity_in_all / NearCache::LEAST_PART).max(1);
    let options = OptionsBuilder::new()
        .shards(1 << parts.ilog2())
        .estimated_items_capacity(capacity_in_all)
        .weight_capacity(capacity)
        .build();
    let options = options.unwrap_or_else(|_| unreachable!("both capacities are given"));
    Cache::with_options(
        options,
        InUnits,
        BuildHasherDefault::default(),
        DefaultLifecycle::default(),
    )
}

/// How things stood before a read was sent.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    group: usize,
    forgotten: u64,
    all_forgotten: u64,
    sent: Moment,
}

impl Ticket {
    /// When it was taken.
    pub const fn sent(&self) -> Moment {
        self.sent
    }
}

impl NearCache {
    /// Fewer groups would forget too much for each other.
    const LEAST_GROUPS: u64 = 1 << 10;
    const MOST_GROUPS: u64 = 1 << 16;
    /// What a group's number goes up by when something is to be forgotten; below it is room for the writes.
    const FORGET: u64 = 1 << 20;
    /// So many bytes of payload count as one record.
    const UNIT: usize = 1024;
    /// So many records the parts of a cache are for, unless the whole is for fewer.
    const LEAST_PART: usize = 256;

    /// A cache for about so many records of up to 1 KiB each; one that is larger counts once more for each KiB. A record that takes up
    /// nearly all of a small cache, or of one of the parts that a larger one has (one for every 256 records, up to
    /// four for each core), is not kept: up to 240 KiB each is, in caches for 256 and more.
    pub fn new(capacity: u64) -> Self {
        Self::with_clock(capacity, Arc::new(SystemClock))
    }

    /// The same by another clock: that of the store whose records are kept.
    pub fn with_clock(capacity: u64, clock: Arc<dyn Clock>) -> Self {
        let groups = capacity.saturating_mul(4).clamp(Self::LEAST_GROUPS, Self::MOST_GROUPS);
        Self {
            kept: parted(capacity),
            forgotten: (0..groups.next_power_of_two()).map(|_| AtomicU64::new(0)).collect(),
            all_forgotten: AtomicU64::new(0),
            hasher: RandomState::new(),
            clock,
        }
    }

    /// Now, by the clock of the cache.
    pub fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    /// To be taken before a read of this key's records is sent.
    pub fn ticket(&self, key: &SessionKey) -> Ticket {
        let group = self.group(key.as_str());
        Ticket {
            group,
            forgotten: self.forgotten[group].load(Ordering::Acquire),
            all_forgotten: self.all_forgotten.load(Ordering::Acquire),
            sent: self.now(),
        }
    }

    /// Keeps what was read, for at most so long from when the ticket was taken and not beyond its expiry. Does nothing if
    /// it was to be forgotten meanwhile, or nobody knows its expiry. With a lease it counts only while that holds.
    pub fn keep(&self, id: &RecordId, ticket: Ticket, stored: &Stored, at_most: Duration, lease: Option<Arc<Lease>>) {
        let lasts = match stored.ends {
            Ends::Unknown => return,
            Ends::Never => at_most,
            Ends::At(at) => at_most.min(at.since(ticket.sent.wall)),
            Ends::OnServer { left, .. } => at_most.min(left),
        };
        let during_a_write = !ticket.forgotten.is_multiple_of(Self::FORGET);
        if !during_a_write && self.is_current(&ticket) && !lasts.is_zero() {
            let kept = Kept {
                stored: stored.clone(),
                ticket,
                lasts,
                lease,
            };
            self.kept.insert(self.place(id), Arc::new(kept));
        }
    }

    /// The record, if it is kept and may be given out. What is [left](Ends::OnServer) of it is what is left now.
    pub fn get(&self, id: &RecordId) -> Option<Stored> {
        self.get_at(id, self.now())
    }

    /// The same, at a moment that is not later than now.
    pub fn get_at(&self, id: &RecordId, now: Moment) -> Option<Stored> {
        let kept = self.kept.get(&self.place(id))?;
        let age = now.since(kept.ticket.sent);
        // The lease first: what it vouches for is that everything until now has been forgotten that was to be.
        let holds = kept.lease.as_ref().is_none_or(|lease| lease.holds(now));
        if !holds || age >= kept.lasts || !self.is_current(&kept.ticket) {
            return None;
        }
        let mut stored = kept.stored.clone();
        if let Ends::OnServer { left, .. } = &mut stored.ends {
            *left = left.saturating_sub(age);
        }
        Some(stored.out_of_cache())
    }

    /// Forgets every record of this session key, in one step.
    pub fn forget(&self, key: &str) {
        self.forgotten[self.group(key)].fetch_add(Self::FORGET, Ordering::AcqRel);
    }

    /// Forgets everything, in one step.
    pub fn forget_all(&self) {
        self.all_forgotten.fetch_add(1, Ordering::AcqRel);
        // What it gives back is memory only, one by one, so that nobody waits for all of it.
        self.kept.drain().for_each(drop);
    }

    /// Forgets a record that is not what a read past the cache found, so that no read from here shows it after that one. (One
    /// that is on its way back just then may bring it here once more, for as long as it would have been kept anyway.)
    pub fn compare(&self, id: &RecordId, found: Option<&Version>) {
        let other = |kept: &Arc<Kept>| found != Some(&kept.stored.version);
        let place = self.place(id);
        if self.kept.peek(&place).is_some_and(|kept| other(&kept)) {
            self.kept.remove_if(&place, other);
        }
    }

    /// Forgets the records of a key now, and again when what is given is dropped, and keeps none that are asked for between: to
    /// be held over a write of one's own.
    pub fn writing(&self, key: &SessionKey) -> Writing<'_> {
        let number = &self.forgotten[self.group(key.as_str())];
        number.fetch_add(Self::FORGET + 1, Ordering::AcqRel);
        Writing { number }
    }

    /// How many records there are, with those that were to be forgotten and still take up room.
    pub fn len(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn group(&self, key: &str) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % self.forgotten.len() as u64).unwrap_or_default()
    }

    fn place(&self, id: &RecordId) -> Place {
        let mut hasher = self.hasher.build_hasher();
        id.hash(&mut hasher);
        let first = hasher.finish();
        hasher.write_u8(1);
        Place(first, hasher.finish())
    }

    fn is_current(&self, ticket: &Ticket) -> bool {
        self.forgotten[ticket.group].load(Ordering::Acquire) == ticket.forgotten
            && self.all_forgotten.load(Ordering::Acquire) == ticket.all_forgotten
    }
}

impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("records", &self.kept.len())
            .finish_non_exhaustive()
    }
}

/// A write of one's own that is under way, see [`NearCache::writing`].
#[must_use = "the write is over when this is dropped"]
pub struct Writing<'a> {
    number: &'a AtomicU64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.number.fetch_add(NearCache::FORGET - 1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").finish_non_exhaustive()
    }
}
