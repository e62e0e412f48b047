//! What each kind of write binds, and what its outcome means.
//!
//! Every write is one statement that changes something only if all its conditions hold. If it changed nothing, a look at
//! the record says why. In between another write may have come: then the look says that the statement should have
//! succeeded, and it is tried once more.

use bytes::Bytes;
use jam_core::{Ends, Error, ErrorKind, Result, Timestamp, Version};
use sqlx::sqlite::SqliteRow;

use crate::request::{Answer, Found, Place, Request};
use crate::row::{self, Values};
use crate::statements::{Series, Statements};

/// The kinds of writes of which many go into one trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Swap,
    Overwrite,
    Touch,
    Load,
    Rename,
    Remove,
}

/// What a statement did for one call.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) changes: u64,
    pub(crate) row: Option<SqliteRow>,
}

/// What it means.
#[derive(Debug)]
pub(crate) enum Decision {
    Answer(Result<Answer>),
    /// Look at these places, and then [`Kind::explain`].
    Look(Vec<Place>),
}

/// What a look says.
#[derive(Debug)]
pub(crate) enum Explanation {
    Answer(Result<Answer>),
    /// This, once the record is removed: it was seen to have expired, and shall not come back when a clock is turned back.
    Expired(Result<Answer>),
    /// The statement should have succeeded.
    Again,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Insert,
        Self::Swap,
        Self::Overwrite,
        Self::Touch,
        Self::Load,
        Self::Rename,
        Self::Remove,
    ];

    /// The kind of this request, unless it has to be done on its own.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Insert(_) => Self::Insert,
            Request::Swap { .. } => Self::Swap,
            Request::Overwrite(_) => Self::Overwrite,
            Request::Touch { .. } => Self::Touch,
            Request::Load { .. } => Self::Load,
            Request::Rename { .. } => Self::Rename,
            Request::Remove(_) => Self::Remove,
            Request::Clear(_) | Request::List(_) | Request::Expire { .. } => return None,
        })
    }

    pub(crate) fn statement(self, statements: &Statements) -> &Series {
        match self {
            Self::Insert => &statements.insert,
            Self::Swap => &statements.swap,
            Self::Overwrite => &statements.overwrite,
            Self::Touch => &statements.touch,
            Self::Load => &statements.renew,
            Self::Rename => &statements.rename,
            Self::Remove => &statements.remove,
        }
    }

    /// How many values one call binds.
    pub(crate) const fn values(self) -> usize {
        match self {
            Self::Insert | Self::Overwrite | Self::Touch | Self::Load => 5,
            Self::Swap => 6,
            Self::Rename => 11,
            Self::Remove => 3,
        }
    }
}

/// What a statement judges expiry by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) now: Timestamp,
    /// What is to be prolonged or changed has to last beyond this.
    pub(crate) lasting: Timestamp,
}

impl Judged {
    /// With the lock held.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { now, lasting: now }
    }
}

/// Binds the values of one call, in the order of [`Statements`].
pub(crate) fn bind(request: &Request, Judged { now, lasting }: Judged, values: &mut Values) {
    match request {
        Request::Insert(put) => values
            .place(&put.place)
            .data(&put.data)
            .expiry(put.expires_at)
            .time(now),
        Request::Swap { put, expected } => {
            values.data(&put.data).expiry(put.expires_at);
            values.place(&put.place).time(lasting).bind(&expected[..])
        }
        Request::Overwrite(put) => values
            .data(&put.data)
            .expiry(put.expires_at)
            .place(&put.place)
            .time(lasting),
        Request::Touch { place, to } => values.time(*to).place(place).time(lasting).time(*to),
        Request::Load { place, renew } => {
            // Without a renewal nothing expires early enough: the statement waits for its turn and changes nothing.
            let (to, before) = renew.map_or((Timestamp::ZERO, Timestamp::ZERO), |renew| {
                (renew.to, renew.when_before.min(renew.to))
            });
            values.time(to).place(place).time(lasting).time(before)
        }
        Request::Rename { from, expected, to } => {
            values.place(&to.place).data(&to.data).expiry(to.expires_at);
            values.place(from).time(lasting).bind(&expected[..]);
            values.place(&to.place).time(now)
        }
        Request::Remove(place) => values.place(place).time(now),
        Request::Clear(_) | Request::List(_) | Request::Expire { .. } => values,
    };
}

/// What the outcome of its statement means for a call.
pub(crate) fn decide(request: &Request, outcome: &Outcome) -> Decision {
    let changed = outcome.changes > 0;
    Decision::Answer(match request {
        Request::Insert(_) | Request::Swap { .. } | Request::Overwrite(_) | Request::Rename { .. } if changed => {
            Ok(Answer::Done)
        }
        Request::Insert(_) => Err(ErrorKind::AlreadyExists.into()),
        Request::Touch { .. } | Request::Remove(_) if changed => Ok(Answer::Found(true)),
        Request::Load { renew, .. } if outcome.row.is_some() => {
            let ends = renew.map_or(Ends::Unknown, |renewal| Ends::At(renewal.to));
            let row = outcome.row.as_ref();
            let loaded = row.map(|row| Ok(row::stored(row, 0)?.ending(ends)));
            loaded.transpose().map(Answer::Loaded)
        }
        Request::Swap { put, .. } | Request::Overwrite(put) => return Decision::Look(vec![put.place.clone()]),
        Request::Touch { place, .. } | Request::Load { place, .. } | Request::Remove(place) => {
            return Decision::Look(vec![place.clone()]);
        }
        Request::Rename { from, to, .. } => return Decision::Look(vec![from.clone(), to.place.clone()]),
        Request::Clear(_) | Request::List(_) | Request::Expire { .. } => Ok(Answer::Done),
    })
}

/// Why a statement has changed nothing, given what is at the places of [`Decision::Look`].
pub(crate) fn explain(request: &Request, found: Vec<Result<Option<Found>>>, now: Timestamp) -> Explanation {
    if has_expired(&found[..1], now) {
        return Explanation::Expired(match request {
            Request::Touch { .. } | Request::Remove(_) => Ok(Answer::Found(false)),
            Request::Load { .. } => Ok(Answer::Loaded(None)),
            _ => gone(),
        });
    }
    let mut found = found.into_iter().map(|found| {
        let live = |found: &Found| found.is_live(now);
        found.map(|found| found.filter(live))
    });
    let mut next = || found.next().unwrap_or(Ok(None));
    let (first, second) = match (next(), next()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return Explanation::Answer(Err(error)),
    };
    Explanation::Answer(match (request, first) {
        (Request::Touch { .. } | Request::Remove(_), None) => Ok(Answer::Found(false)),
        (Request::Touch { to, .. }, Some(found)) if found.expires_at.is_none_or(|at| at >= *to) => {
            Ok(Answer::Found(true))
        }
        (Request::Load { .. }, None) => Ok(Answer::Loaded(None)),
        (Request::Load { renew, .. }, Some(found)) if !renew.is_some_and(|renew| renew.is_due(found.expires_at)) => {
            Ok(Answer::Loaded(Some(found.stored)))
        }
        (Request::Swap { .. } | Request::Overwrite(_) | Request::Rename { .. }, None) => gone(),
        (Request::Swap { expected, .. } | Request::Rename { expected, .. }, Some(found))
            if !is_version(&found.stored.version, expected) =>
        {
            Err(ErrorKind::Conflict.into())
        }
        (Request::Rename { .. }, Some(_)) if second.is_some() => Err(ErrorKind::AlreadyExists.into()),
        _ => return Explanation::Again,
    })
}

/// Whether one of these has expired.
pub(crate) fn has_expired(found: &[Result<Option<Found>>], now: Timestamp) -> bool {
    let mut there = found.iter().filter_map(|found| found.as_ref().ok()?.as_ref());
    there.any(|found| !found.is_live(now))
}

fn gone() -> Result<Answer, Error> {
    Err(ErrorKind::NotFound.into())
}

fn is_version(version: &Version, expected: &Bytes) -> bool {
    version.as_content() == Some(expected)
}
