//! The cap on sessions per key: insert first, then trim, so that it holds whoever creates at the same time.

use super::facts::note;
use super::queue::{Turn, Whom};
use super::{Located, Sessions, WhenFull};
use crate::{Entry, Error, ErrorKind, Handle, Record, RecordId, Result, SessionKey, Timestamp};

/// How many sessions a key may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    pub(crate) max: usize,
    pub(crate) when_full: WhenFull,
}

impl Sessions {
    /// Writes a new session, if its key has room for it.
    pub(super) async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        match self.inner.cap {
            None => self.inner.store().insert(id, record).await,
            Some(_) => Box::pin(self.insert_capped(id, record)).await,
        }
    }

    async fn insert_capped(&self, id: &RecordId, record: &Record) -> Result<()> {
        let _turn = self.cap_turn(id.key()).await;
        self.check_room(id.key()).await?;
        self.inner.store().insert(id, record).await?;
        self.trim(id).await
    }

    /// Brings a key back to its cap after `newcomer` was written.
    ///
    /// Whoever lists last sees everybody, so the cap holds once concurrent creates are done. An evicting newcomer ends
    /// only others; one that may be refused ends only itself. The newcomer is there by now: a store that fails here does
    /// not undo that. The next create trims, where it evicts; what was granted where newcomers are refused stays.
    pub(super) async fn trim(&self, newcomer: &RecordId) -> Result<()> {
        let trimmed = match self.inner.cap {
            None => return Ok(()),
            Some(Cap {
                max,
                when_full: WhenFull::EvictOldest,
            }) => self.evict(newcomer, max).await,
            Some(Cap {
                max,
                when_full: WhenFull::Refuse,
            }) => self.step_back(newcomer, max).await,
        };
        match trimmed {
            Err(error) if error.kind() != ErrorKind::LimitReached => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a session key could not be trimmed to its cap"
                );
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Creates of one process take turns where there is a cap, so that they do not count each other half-way.
    pub(super) async fn cap_turn(&self, key: &SessionKey) -> Option<Turn<'_>> {
        match self.inner.cap {
            Some(_) => Some(self.inner.queue.turn(Whom::Newcomers(key)).await),
            None => None,
        }
    }

    /// Refuses before anything is written, where newcomers are refused.
    pub(super) async fn check_room(&self, key: &SessionKey) -> Result<()> {
        match self.inner.cap {
            Some(Cap {
                max,
                when_full: WhenFull::Refuse,
            }) if self.ranked(key).await?.len() >= max => Err(limit_reached(max)),
            _ => Ok(()),
        }
    }

    /// Ends the oldest of the others until there is room; looks again as long as one got away by a rework.
    async fn evict(&self, newcomer: &RecordId, max: usize) -> Result<()> {
        for _ in 0..self.inner.attempts {
            let ranked = self.ranked(newcomer.key()).await?;
            let surplus = ranked.len().saturating_sub(max);
            let mut all_ended = true;
            for record in ranked.iter().filter(|record| *record != newcomer).take(surplus) {
                let ended = self.inner.store().remove(record).await?;
                note(|facts| facts.evicted += u64::from(ended));
                all_ended &= ended;
            }
            if all_ended {
                return Ok(());
            }
        }
        Err(self.gave_up())
    }

    /// Ends the newcomer if there are too many with it.
    async fn step_back(&self, newcomer: &RecordId, max: usize) -> Result<()> {
        if self.ranked(newcomer.key()).await?.len() <= max {
            return Ok(());
        }
        self.inner.store().remove(newcomer).await?;
        Err(limit_reached(max))
    }

    /// The records of a key's sessions, oldest first.
    async fn ranked(&self, key: &SessionKey) -> Result<Vec<RecordId>> {
        let sessions = self.sessions_of(key).await?;
        let mut ranked: Vec<_> = sessions
            .into_iter()
            .map(|(at, entry)| (rank(&at, &entry), at.record))
            .collect();
        ranked.sort();
        Ok(ranked.into_iter().map(|(_, record)| record).collect())
    }
}

fn rank(at: &Located, entry: &Entry) -> (Timestamp, Handle) {
    let age = at.described.life.map(|life| life.created()).or(entry.expires_at);
    // What tells neither never expires.
    (age.unwrap_or(Timestamp::MAX), at.described.handle.clone())
}

fn limit_reached(max: usize) -> Error {
    Error::new(
        ErrorKind::LimitReached,
        format!("this session key has {max} sessions already, as many as `max_sessions` allows"),
    )
}
