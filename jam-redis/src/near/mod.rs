//! The near cache: sessions that were read stay in this process until the server says that somebody changed them.
//!
//! Next to the connection for everything else, each server gets one for reads that are kept ([`Tracked`]), on which it tracks
//! what was read (`CLIENT TRACKING`) and says when that changes. `docs/design.md` has the reasons.

mod read;
mod tracked;
mod tracker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jam_core::cache::{Moment, NearCache, Ticket, Writing};
use jam_core::{Error, ErrorKind, RecordId, Result, SessionKey, Stored, Version};
use redis::{Pipeline, Value};

pub(crate) use self::tracked::Tracked;
pub(crate) use self::tracker::Tracker;
use crate::connect::Live;
use crate::error::{self, Trouble};

/// What is kept, for all connections of a store.
#[derive(Debug)]
pub(crate) struct Near {
    cache: NearCache,
    /// How old may be what is given out.
    bound: Duration,
    /// What the name of every hash begins with.
    prefix: Box<[u8]>,
    begun: Moment,
    /// When somebody asked last, or a little earlier: milliseconds since then.
    asked: AtomicU64,
}

impl Near {
    /// Whatever the server does not tell of (`SWAPDB`) has an end.
    const AT_MOST: Duration = Duration::from_mins(1);
    const STEP: u64 = 250;

    pub(crate) fn new(capacity: u64, bound: Duration, prefix: &str) -> Self {
        let cache = NearCache::new(capacity);
        let begun = cache.now();
        Self {
            cache,
            bound,
            prefix: prefix.as_bytes().into(),
            begun,
            asked: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Moment {
        self.cache.now()
    }

    /// A session that is kept and may be given out.
    fn get(&self, id: &RecordId) -> Option<Stored> {
        let now = self.now();
        let since = self.since_begun(now);
        // Written now and then, so that readers on many cores do not wait for each other.
        if since > self.asked.load(Ordering::Relaxed) + Self::STEP {
            self.asked.store(since, Ordering::Relaxed);
        }
        self.cache.get_at(id, now)
    }

    /// How long nobody has asked.
    fn idle(&self, now: Moment) -> Duration {
        Duration::from_millis(self.since_begun(now).saturating_sub(self.asked.load(Ordering::Relaxed)))
    }

    fn since_begun(&self, now: Moment) -> u64 {
        u64::try_from(now.since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn ticket(&self, key: &SessionKey) -> Ticket {
        self.cache.ticket(key)
    }

    /// Keeps what was read over a connection, or forgets what is there no more.
    fn keep(&self, id: &RecordId, ticket: Ticket, read: Option<&Stored>, by: &Tracked) {
        match read {
            Some(stored) => self.cache.keep(id, ticket, stored, Self::AT_MOST, Some(by.lease())),
            None => self.cache.compare(id, None),
        }
    }

    /// To be held over a write of one's own.
    pub(crate) fn writing<'a>(&'a self, key: &'a SessionKey) -> Writing<'a> {
        self.cache.writing(key)
    }

    /// Forgets what is not as a read past the cache found it.
    fn compare(&self, id: &RecordId, found: Option<&Version>) {
        self.cache.compare(id, found);
    }

    pub(crate) fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// The server says that a hash was changed.
    fn changed(&self, hash: &[u8]) {
        let key = hash
            .strip_prefix(&*self.prefix)
            .and_then(|key| str::from_utf8(key).ok());
        if let Some(key) = key {
            self.cache.forget(key);
        }
    }

    /// Whether this user may have reads tracked; asked where it changes nothing.
    pub(crate) async fn check(live: &Live) -> Result<()> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.cmd("CLIENT").arg("TRACKING").arg("OFF");
        let mut replies = live.pipeline(&pipeline, 1).await.map_err(error::unconnected)?;
        tracks(replies.pop().unwrap_or(Value::Nil))
    }
}

/// What a server says to `CLIENT TRACKING`.
fn tracks(reply: Value) -> Result<()> {
    let Err(refusal) = reply.extract_error() else {
        return Ok(());
    };
    let forbidden = refusal.code() == Some("NOPERM");
    match Trouble::of(refusal) {
        Trouble::Lost(error) => Err(error),
        _ if forbidden => Err(Error::new(
            ErrorKind::Config,
            "the Redis user may not call CLIENT TRACKING, which `near_cache` needs; grant `+client|tracking`, or leave \
             `near_cache` out",
        )),
        Trouble::Refused(error) if error.kind() != ErrorKind::Unexpected => Err(error),
        _ => Err(Error::new(
            ErrorKind::Config,
            "the Redis server, or a proxy before it, has no CLIENT TRACKING, which `near_cache` needs; leave `near_cache` \
             out",
        )),
    }
}
