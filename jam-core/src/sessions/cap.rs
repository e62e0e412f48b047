//! The cap on sessions per key: insert first, then trim in one order that all managers agree on.

use super::{Located, Sessions, WhenFull};
use crate::{Entry, Error, ErrorKind, Handle, RecordId, Result, SessionKey, Timestamp};

/// How many sessions a key may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    pub(crate) max: usize,
    pub(crate) when_full: WhenFull,
}

impl Sessions {
    /// Brings a key back to its cap after `newcomer` was added.
    ///
    /// Whoever lists last sees everybody, and all go by the same order, so the cap holds once concurrent creates are done.
    /// Creates of one process take turns; of processes that race for the last place, the later by that order loses it.
    pub(super) async fn trim(&self, newcomer: &RecordId) -> Result<()> {
        let Some(cap) = self.inner.cap else { return Ok(()) };
        let ranked = self.ranked(newcomer.key()).await?;
        let surplus = ranked.len().saturating_sub(cap.max);
        if surplus == 0 {
            return Ok(());
        }
        let surplus = match cap.when_full {
            WhenFull::EvictOldest => &ranked[..surplus],
            WhenFull::Refuse => &ranked[cap.max..],
        };
        for record in surplus {
            self.inner.store.remove(record).await?;
        }
        if surplus.contains(newcomer) {
            Err(limit_reached(cap.max))
        } else {
            Ok(())
        }
    }

    /// Refuses before anything is lost, where a session moves to a full key and newcomers are refused.
    pub(super) async fn check_room(&self, key: &SessionKey) -> Result<()> {
        match self.inner.cap {
            Some(Cap {
                max,
                when_full: WhenFull::Refuse,
            }) if self.ranked(key).await?.len() >= max => Err(limit_reached(max)),
            _ => Ok(()),
        }
    }

    /// The records of a key's sessions, oldest first.
    async fn ranked(&self, key: &SessionKey) -> Result<Vec<RecordId>> {
        let mut sessions: Vec<_> = self
            .sessions_of(key)
            .await?
            .into_iter()
            .map(|(at, entry)| (rank(&at, &entry), at.record))
            .collect();
        sessions.sort();
        Ok(sessions.into_iter().map(|(_, record)| record).collect())
    }
}

fn rank(at: &Located, entry: &Entry) -> (Timestamp, Handle) {
    let age = at.described.life.map(|life| life.created()).or(entry.expires_at);
    (age.unwrap_or(Timestamp::ZERO), at.described.handle.clone())
}

fn limit_reached(max: usize) -> Error {
    Error::new(
        ErrorKind::LimitReached,
        format!("this session key has {max} sessions already, as many as `max_sessions` allows"),
    )
}
