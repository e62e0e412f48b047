//! When sessions end: idle and absolute lifetimes.

use std::time::Duration;

use crate::{Life, Renewal, Timestamp};

/// The lifetimes a manager gives its sessions. Pure arithmetic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) ttl: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) renew_on_read: bool,
}

impl Expiry {
    fn ttl(&self, life: Option<&Life>) -> Option<Duration> {
        life.and_then(Life::ttl).or(self.ttl)
    }

    /// The moment no read and no write can move a session past.
    fn end_of_life(&self, life: Option<&Life>) -> Option<Timestamp> {
        Some(life?.created().plus(self.max_lifetime?))
    }

    /// Whether the absolute lifetime is over, whatever the store says. The time is asked for only if it matters.
    pub(crate) fn is_over(&self, life: Option<&Life>, now: impl FnOnce() -> Timestamp) -> bool {
        self.end_of_life(life).is_some_and(|end| end <= now())
    }

    /// When a session that is written now ends.
    pub(crate) fn expires_at(&self, life: Option<&Life>, now: Timestamp) -> Option<Timestamp> {
        self.ends(life, self.ttl(life).map(|ttl| now.plus(ttl)))
    }

    /// When a session whose record would end at `kept` ends; an absolute lifetime may have become shorter since it was written.
    pub(crate) fn ends(&self, life: Option<&Life>, kept: Option<Timestamp>) -> Option<Timestamp> {
        match (kept, self.end_of_life(life)) {
            (Some(kept), Some(end)) => Some(kept.min(end)),
            (kept, end) => kept.or(end),
        }
    }

    /// What a read asks of the store: at most one write per tenth of the ttl.
    pub(crate) fn renewal(&self, life: Option<&Life>, now: impl FnOnce() -> Timestamp) -> Option<Renewal> {
        if !self.renew_on_read {
            return None;
        }
        let now = now();
        let ttl = self.ttl(life)?;
        let to = self.expires_at(life, now)?;
        // Near the end of life `to` stands still, and a record that already ends there must not be written at every read.
        Some(Renewal {
            to,
            when_before: now.plus(ttl.saturating_sub(ttl / 10)).min(to),
        })
    }
}
