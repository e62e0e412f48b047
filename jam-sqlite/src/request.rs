//! What callers ask of the writer and of the readers, and what they hear.

use std::sync::Arc;

use bytes::Bytes;
use jam_core::{Cursor, Entry, Page, Record, RecordId, Renewal, Result, SessionKey, Stored, Timestamp};
use tokio::sync::oneshot;

use crate::backlog::Reply;
use crate::patience::Queued;

/// Where a record is, in a form that is bound without being copied.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl From<&RecordId> for Place {
    fn from(id: &RecordId) -> Self {
        Self {
            key: id.key().as_str().into(),
            id: id.id().into(),
        }
    }
}

/// A payload as it is stored: TEXT that SQL can look into, or a BLOB.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Text(Arc<str>),
    Blob(Bytes),
}

/// A record on its way to its place.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) place: Place,
    pub(crate) data: Data,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Put {
    pub(crate) fn new(id: &RecordId, record: &Record) -> Self {
        let data = match record.as_json_object() {
            Some(text) => Data::Text(text.into()),
            None => Data::Blob(record.payload.clone()),
        };
        Self {
            place: id.into(),
            data,
            expires_at: record.expires_at,
        }
    }

    fn weight(&self) -> usize {
        match &self.data {
            Data::Text(text) => text.len(),
            Data::Blob(bytes) => bytes.len(),
        }
    }
}

/// A write, as the contract has it, or a read that has to wait for its turn among the writes.
#[derive(Debug)]
pub(crate) enum Request {
    Insert(Put),
    Swap { put: Put, expected: Bytes },
    Overwrite(Put),
    Touch { place: Place, to: Timestamp },
    Load { place: Place, renew: Option<Renewal> },
    Rename { from: Place, expected: Bytes, to: Put },
    Remove(Place),
    Clear(SessionKey),
    List(SessionKey),
    Expire { by: Timestamp, limit: u32 },
}

impl Request {
    /// Whether it writes only where a renewal is due, or something has expired.
    pub(crate) const fn is_read(&self) -> bool {
        matches!(self, Self::Load { .. } | Self::List(_))
    }

    /// How much it adds to a batch, and to what waits, in bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Insert(put) | Self::Overwrite(put) => put.weight(),
            Self::Swap { put, expected } | Self::Rename { to: put, expected, .. } => put.weight() + expected.len(),
            _ => 0,
        }
    }
}

/// What a call of the writer gives.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Loaded(Option<Stored>),
    Found(bool),
    Count(u64),
    /// How many records a step of a sweep removed, and how many it looked at.
    Swept {
        removed: u64,
        seen: u64,
    },
    Listed(Vec<Entry>),
}

/// A write on its way. The caller may be gone when the answer comes; the write is made or not, as a whole.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) queued: Queued,
    pub(crate) reply: Reply<Answer>,
}

/// What arrives at the writer.
#[derive(Debug)]
pub(crate) enum Message {
    Write(Call),
    /// Give free pages back to the file system, and tell whether there were any.
    Shrink(Queued, oneshot::Sender<Result<bool>>),
    /// Bring the file into its resting form and end.
    Close(oneshot::Sender<Result<()>>),
}

/// A record that was found, whether or not it has expired.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) stored: Stored,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Found {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// A read on its way to whichever reader is free.
#[derive(Debug)]
pub(crate) enum Read {
    Find(Place, Reply<Option<Found>>),
    List(SessionKey, Reply<Vec<Entry>>),
    Scan(Option<Cursor>, usize, Reply<Page>),
    /// Tells all readers to end once what waits is answered.
    Close,
}
