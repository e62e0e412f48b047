//! What callers ask of the writer, and what they hear from it.

use jam_core::{Entry, RecordId, Renewal, Result, SessionKey, Stored, Timestamp, Version};

use futures_channel::oneshot;

use super::backlog::Counted;
use super::session_text::Put;

/// A write, as the contract has it, or a read that has to wait for its turn among the writes.
#[derive(Debug)]
pub(super) enum Request {
    Insert(Put),
    Load { id: RecordId, renew: Option<Renewal> },
    List(SessionKey),
    Replace { put: Put, expected: Option<Version> },
    Touch { id: RecordId, expires_at: Timestamp },
    Rename { from: RecordId, expected: Version, to: Put },
    Remove(RecordId),
    Clear(SessionKey),
    Expire(Timestamp),
}

impl Request {
    /// How much it adds to a batch, in bytes, roughly.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Insert(put) | Self::Replace { put, .. } | Self::Rename { to: put, .. } => put.record.payload.len(),
            _ => 0,
        }
    }
}

/// What a write gives.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Loaded(Option<Stored>),
    Found(bool),
    Count(u64),
    Listed(Vec<Entry>),
}

/// A write on its way. The caller may be gone when the answer comes; the write is made or not, as a whole.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Answer>>,
    pub(super) counted: Counted,
}

/// What arrives at the writer.
#[derive(Debug)]
pub(super) enum Message {
    Write(Call),
    /// Write the document anew, and tell when it is in place.
    Compact(oneshot::Sender<Result<()>>),
    /// The compaction to that generation has ended.
    Compacted(u64),
    /// Bring the files into their resting form and end.
    Close(oneshot::Sender<Result<()>>),
    /// End.
    Stop,
}
