//! A naive store, right in everything but its flaw. What a flaw does in several steps is in `torn`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jam_core::{
    Bytes, Clock, Ends, Entry, Error, ErrorKind, Record, RecordId, Renewal, Result, SessionKey, Stored, SystemClock,
    Timestamp, Version,
};

use crate::flaw::Flaw;

/// A panic while the lock is held is a flaw of its own; the map is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) type Map = BTreeMap<RecordId, Slot>;

#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) payload: Bytes,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) first_expiry: Option<Timestamp>,
    pub(crate) version: u64,
}

/// What all handles on the same sessions share.
#[derive(Default)]
pub(crate) struct World {
    map: Mutex<Map>,
    ended: Mutex<Map>,
    last_version: AtomicUsize,
    pub(crate) used_cursors: Mutex<Vec<Vec<u8>>>,
    pub(crate) locked: AtomicBool,
    pub(crate) busy: AtomicUsize,
    pub(crate) replies: Mutex<VecDeque<Option<Stored>>>,
}

pub(crate) struct Naive {
    pub(crate) world: Arc<World>,
    pub(crate) flaw: Flaw,
    clock: Arc<dyn Clock>,
    pub(crate) closed: AtomicBool,
    pub(crate) remembered: Mutex<BTreeMap<RecordId, Option<Stored>>>,
}

impl Naive {
    pub(crate) fn open(world: Arc<World>, flaw: Flaw, clock: Arc<dyn Clock>) -> Self {
        if flaw == Flaw::RevivesWhenReopened {
            let mut map = lock(&world.map);
            for (id, slot) in lock(&world.ended).iter() {
                map.entry(id.clone()).or_insert_with(|| slot.clone());
            }
        }
        Self {
            world,
            flaw,
            clock,
            closed: AtomicBool::new(false),
            remembered: Mutex::default(),
        }
    }

    pub(crate) fn another_handle(&self) -> Self {
        Self::open(Arc::clone(&self.world), self.flaw, Arc::clone(&self.clock))
    }

    pub(crate) fn is(&self, flaw: Flaw) -> bool {
        flaw != Flaw::None && self.flaw == flaw
    }

    /// One step that nobody can come into.
    pub(crate) fn step<T>(&self, work: impl FnOnce(&mut Map) -> T) -> T {
        work(&mut lock(&self.world.map))
    }

    pub(crate) fn is_live(&self, slot: &Slot) -> bool {
        let own = self.is(Flaw::OwnClock).then(|| SystemClock.now());
        let now = own.unwrap_or_else(|| self.clock.now());
        let last_moment = self.is(Flaw::LivesAtItsExpiry);
        slot.expires_at.is_none_or(|at| at > now || (at == now && last_moment))
    }

    /// The live record, or one that a flaw lets pass for live.
    pub(crate) fn live<'a>(&self, map: &'a Map, id: &RecordId, even_expired: Flaw) -> Option<&'a Slot> {
        map.get(id).filter(|slot| self.is_live(slot) || self.is(even_expired))
    }

    pub(crate) fn expect<'a>(
        &self,
        map: &'a Map,
        id: &RecordId,
        expected: Option<&Version>,
        even_expired: Flaw,
    ) -> Result<&'a Slot, ErrorKind> {
        let slot = self.live(map, id, even_expired).ok_or(ErrorKind::NotFound)?;
        let fits = expected.is_none_or(|expected| *expected == Version::from_counter(slot.version));
        if fits { Ok(slot) } else { Err(ErrorKind::Conflict) }
    }

    pub(crate) fn take(&self, map: &mut Map, id: &RecordId) -> Option<Slot> {
        let slot = map.remove(id)?;
        lock(&self.world.ended).insert(id.clone(), slot.clone());
        Some(slot)
    }

    pub(crate) fn next_version(&self) -> u64 {
        self.world.last_version.fetch_add(1, Ordering::SeqCst) as u64 + 1
    }

    /// What is kept of a record.
    pub(crate) fn slot(&self, record: &Record) -> Slot {
        let expires_at = record.expires_at.map(|at| match self.flaw {
            Flaw::SecondsOnly => Timestamp::from_secs(at.as_secs()),
            Flaw::LastTimeClamped => at.min(Timestamp::from_secs(Timestamp::MAX.as_secs())),
            Flaw::FarFutureOverflows => Timestamp::from_millis(at.as_millis() % (1 << 42)),
            _ => at,
        });
        Slot {
            payload: self.kept(&record.payload),
            expires_at,
            first_expiry: expires_at,
            version: self.next_version(),
        }
    }

    pub(crate) fn kept(&self, payload: &Bytes) -> Bytes {
        match self.flaw {
            Flaw::PayloadTrimmed => payload.trim_ascii().to_vec().into(),
            Flaw::PayloadAsText => String::from_utf8_lossy(payload).into_owned().into(),
            Flaw::PayloadCutAt64KiB => payload.slice(..payload.len().min(1 << 16)),
            Flaw::PayloadReserialized => {
                let value = serde_json::from_slice::<serde_json::Value>(payload);
                value.map_or(payload.clone(), |value| value.to_string().into())
            }
            Flaw::PayloadUnwrapped => {
                let wrapped = payload
                    .strip_prefix(b"{\"raw\":")
                    .and_then(|rest| rest.strip_suffix(b"}"));
                wrapped.map_or(payload.clone(), Bytes::copy_from_slice)
            }
            _ => payload.clone(),
        }
    }

    /// Where a record is kept.
    pub(crate) fn place(&self, id: &RecordId) -> RecordId {
        let (key, name) = (id.key().as_str(), id.id());
        let joined = format!("{key}:{name}");
        let (key, name) = match self.flaw {
            Flaw::KeysWithoutCase => (key.to_lowercase(), name.to_owned()),
            Flaw::KeysCutAtNul => (key.split('\0').next().unwrap_or("").to_owned(), name.to_owned()),
            Flaw::IdsTrimmed => (key.to_owned(), name.trim().to_owned()),
            Flaw::IdsCut => (key.to_owned(), name.chars().take(200).collect()),
            Flaw::KeyAndIdJoined => {
                let (key, name) = joined.rsplit_once(':').unwrap_or_default();
                (key.to_owned(), name.to_owned())
            }
            _ => return id.clone(),
        };
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let key = or_dash(key).chars().take(200).collect::<String>();
        RecordId::new(SessionKey::new(key).expect("a key"), or_dash(name)).expect("an id")
    }

    pub(crate) fn of_key(&self, key: &SessionKey, id: &RecordId, by_prefix: Flaw) -> bool {
        if self.is(by_prefix) {
            return id.key().as_str().starts_with(key.as_str());
        }
        id.key() == self.place(&RecordId::new(key.clone(), "any").expect("an id")).key()
    }

    pub(crate) fn stored(slot: &Slot) -> Stored {
        Stored::new(slot.payload.clone(), Version::from_counter(slot.version)).ending(slot.expires_at.into())
    }

    pub(crate) fn error(&self, kind: ErrorKind, id: &RecordId, record: &Record) -> Error {
        match self.flaw {
            Flaw::PanicsOnConflict if kind == ErrorKind::Conflict => panic!("a conflict nobody foresaw"),
            Flaw::ErrorsShowIds => Error::new(kind, format!("cannot write {}", id.id())),
            Flaw::CausesShowPayloads => {
                let cause = String::from_utf8_lossy(&record.payload).into_owned();
                Error::new(kind, "cannot write").with_source(std::io::Error::other(cause))
            }
            _ => kind.into(),
        }
    }

    /// The way into every call.
    pub(crate) async fn enter(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) && !self.is(Flaw::CloseDoesNothing) {
            return Err(Error::new(ErrorKind::Unavailable, "the store was closed"));
        }
        self.queue().await
    }

    pub(crate) fn read(&self, id: &RecordId, renew: Option<Renewal>) -> Option<Stored> {
        self.step(|map| {
            let even_expired = self.is(Flaw::LoadGivesExpired);
            let revived = self.is(Flaw::RenewalRevivesExpired) && renew.is_some();
            let slot = map
                .get_mut(id)
                .filter(|slot| self.is_live(slot) || even_expired || revived)?;
            let before = Self::stored(slot);
            if let Some(renewal) = renew.filter(|_| !self.is(Flaw::RenewalNever)) {
                let endless = self.is(Flaw::RenewalOfEndless) && slot.expires_at.is_none();
                if renewal.is_due(slot.expires_at) || self.is(Flaw::RenewalWhenNotDue) || endless {
                    slot.expires_at = Some(renewal.to);
                    slot.version += u64::from(self.is(Flaw::RenewalChangesTheVersion));
                }
            }
            let stored = Self::stored(slot);
            Some(match self.flaw {
                Flaw::TellsNoExpiry => stored.ending(Ends::Unknown),
                Flaw::TellsTheExpiryBeforeTheRenewal => stored.ending(before.ends),
                _ => stored,
            })
        })
    }

    pub(crate) fn entries(
        &self,
        even_expired: Flaw,
        without_expiry: Flaw,
        wanted: impl Fn(&RecordId) -> bool,
    ) -> Vec<Entry> {
        self.step(|map| {
            let wanted = map
                .iter()
                .filter(|(id, slot)| wanted(id) && (self.is_live(slot) || self.is(even_expired)));
            wanted
                .map(|(id, slot)| {
                    Entry::new(
                        id.clone(),
                        Self::stored(slot),
                        slot.expires_at.filter(|_| !self.is(without_expiry)),
                    )
                })
                .collect()
        })
    }

    pub(crate) fn is_free(&self, map: &Map, id: &RecordId) -> bool {
        let expired_counts = self.is(Flaw::InsertMeetsExpired) && map.contains_key(id);
        self.is(Flaw::InsertOverwrites) || (!expired_counts && self.live(map, id, Flaw::None).is_none())
    }

    pub(crate) fn is_free_for_rename(&self, map: &Map, from: &RecordId, to: &RecordId) -> bool {
        let itself = self.is(Flaw::RenameOntoItself) && from == to;
        let expired_counts = self.is(Flaw::RenameMeetsExpired) && map.contains_key(to);
        let free = !expired_counts && self.live(map, to, Flaw::None).is_none();
        self.is(Flaw::RenameOverwrites) || itself || free
    }
}

impl fmt::Debug for Naive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Naive");
        if self.is(Flaw::DebugShowsKeys) {
            let keys = self.step(|map| map.keys().map(|id| id.key().as_str().to_owned()).collect::<Vec<_>>());
            out.field("keys", &keys);
        }
        out.finish_non_exhaustive()
    }
}
