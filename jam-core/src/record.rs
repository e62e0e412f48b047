//! What passes between the manager and a store: record ids, records, versions, renames, pages.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{Error, ErrorKind, Result, SessionKey, Timestamp};

/// Where a store keeps a session: under this id, among the sessions of this key.
///
/// A record id is made by an [`IdCodec`](crate::IdCodec) and is opaque to a store: any UTF-8 text of 1 to
/// [`MAX_ID_LEN`](Self::MAX_ID_LEN) bytes, compared byte by byte. It is not a session id, and cannot be used as one
/// unless the codec says so ([`PlainIds`](crate::PlainIds)); `Debug` shows neither part. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    key: SessionKey,
    id: Arc<str>,
}

impl RecordId {
    /// The longest id, in bytes.
    pub const MAX_ID_LEN: usize = 1024;

    const RESERVED_SUFFIX: char = '~';

    /// A record id from its two parts; stores use it to give back what they were given.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the id is empty or longer than [`MAX_ID_LEN`](Self::MAX_ID_LEN)
    /// bytes.
    pub fn new(key: SessionKey, id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
        if id.is_empty() || id.len() > Self::MAX_ID_LEN {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "a record id has {} bytes; 1 to {} are allowed",
                    id.len(),
                    Self::MAX_ID_LEN
                ),
            ));
        }
        Ok(Self { key, id: id.into() })
    }

    /// From parts that were a record id before.
    pub(crate) fn from_parts(key: SessionKey, id: Arc<str>) -> Self {
        Self { key, id }
    }

    /// The id, shared instead of copied.
    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Whose session it is.
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// The id among the sessions of that key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The reserved record beside this one, where a rotation with grace leaves its note.
    pub(crate) fn reserved(&self) -> Result<Self> {
        Self::new(self.key.clone(), format!("{}{}", self.id, Self::RESERVED_SUFFIX))
    }

    /// Whether this record is one of jam's own notes and no session: its id ends with `~`. A store keeps, lists, moves
    /// and removes it like any other; only the count that [`clear`](crate::SessionStore::clear) gives leaves it out.
    pub fn is_reserved(&self) -> bool {
        self.id.ends_with(Self::RESERVED_SUFFIX)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordId").finish_non_exhaustive()
    }
}

/// All that a store ever sees of a session. `Debug` shows the payload's length, never its bytes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The bytes to keep, and to give back byte for byte: serialized data, sealed when encryption is on.
    pub payload: Bytes,
    /// When the session ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Record {
    /// A record of this payload and expiry.
    pub fn new(payload: impl Into<Bytes>, expires_at: Option<Timestamp>) -> Self {
        Self {
            payload: payload.into(),
            expires_at,
        }
    }

    /// The payload as text, if it is a UTF-8 JSON object with nothing before or after its braces. Such a payload is to
    /// be kept readable, verbatim; every other one in a form of its own, such as a base64 field or a BLOB.
    pub fn as_json_object(&self) -> Option<&str> {
        if self.payload.first() != Some(&b'{') || self.payload.last() != Some(&b'}') {
            return None;
        }
        let text = str::from_utf8(&self.payload).ok()?;
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .is_ok()
            .then_some(text)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("payload_len", &self.payload.len())
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What a store gives back: the payload, and the version to compare with at the next write.
#[derive(Clone)]
#[non_exhaustive]
pub struct Stored {
    /// The bytes as they were written.
    pub payload: Bytes,
    /// Which write these bytes are from.
    pub version: Version,
    /// When the record ends, if the store tells.
    pub ends: Ends,
    /// Whether a cache had it, so that the store may have a newer one.
    pub cached: bool,
}

impl Stored {
    /// Of this payload and version.
    pub const fn new(payload: Bytes, version: Version) -> Self {
        Self {
            payload,
            version,
            ends: Ends::Unknown,
            cached: false,
        }
    }

    /// With the end of the record.
    #[must_use]
    pub const fn ending(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }

    /// As a cache gives it, which the store was not asked for. What would be decided by it without a write that compares versions
    /// is asked of the store again.
    #[must_use]
    pub const fn out_of_cache(mut self) -> Self {
        self.cached = true;
        self
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// When a record ends, as a read tells that was asked to ([`Load::with_expiry`]). A store that knows without asking anybody
/// may tell every read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ends {
    /// The read did not ask. Nobody may keep such a record.
    #[default]
    Unknown,
    /// Never, unless somebody writes it.
    Never,
    /// At this time, by the clock that the store was given.
    At(Timestamp),
    /// At this time, by the clock of a server.
    OnServer {
        /// The expiry, as a listing gives it.
        at: Timestamp,
        /// How much was left of it when the server looked, or less: two machines' clocks need not agree, but a second is as
        /// long on both.
        left: Duration,
    },
}

impl Ends {
    /// The expiry, as a listing gives it; `None`: never, or unknown.
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) | Self::OnServer { at, .. } => Some(at),
            Self::Unknown | Self::Never => None,
        }
    }
}

impl From<Option<Timestamp>> for Ends {
    /// Of a store that judges by the clock that it was given; `None`: never.
    fn from(expires_at: Option<Timestamp>) -> Self {
        expires_at.map_or(Self::Never, Self::At)
    }
}

/// Which write a record is from; the comparand of compare-and-swap. Opaque to everyone but the store that made it:
/// all one can do is compare for equality.
///
/// A store makes versions from a counter or from the content. With content, a record changed from A to B and back to A
/// matches the version of the first A again, which is allowed: the swap still replaces exactly what the caller saw.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version(VersionRepr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum VersionRepr {
    Counter(u64),
    Content(Bytes),
}

impl Version {
    /// A version from a counter that grows with every write of the record.
    pub const fn from_counter(counter: u64) -> Self {
        Self(VersionRepr::Counter(counter))
    }

    /// A version from the content: a digest, an entity tag, or the payload itself (cloning [`Bytes`] is cheap).
    pub fn from_content(content: impl Into<Bytes>) -> Self {
        Self(VersionRepr::Content(content.into()))
    }

    /// The counter, if this was made by [`from_counter`](Self::from_counter). For the store that made it.
    pub fn as_counter(&self) -> Option<u64> {
        match &self.0 {
            VersionRepr::Counter(counter) => Some(*counter),
            VersionRepr::Content(_) => None,
        }
    }

    /// The content, if this was made by [`from_content`](Self::from_content). For the store that made it.
    pub fn as_content(&self) -> Option<&Bytes> {
        match &self.0 {
            VersionRepr::Content(content) => Some(content),
            VersionRepr::Counter(_) => None,
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version").finish_non_exhaustive()
    }
}

/// One record of a listing or a scan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Where it is kept.
    pub id: RecordId,
    /// Its payload and version.
    pub stored: Stored,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Entry {
    /// Of these parts.
    pub const fn new(id: RecordId, stored: Stored, expires_at: Option<Timestamp>) -> Self {
        Self { id, stored, expires_at }
    }
}

/// A record that gets a new id in one step. See [`SessionStore::rename`](crate::SessionStore::rename).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rename<'a> {
    /// Where the record is.
    pub from: &'a RecordId,
    /// The version it must still have.
    pub expected: &'a Version,
    /// Where it goes; the session key may be another one.
    pub to: &'a RecordId,
    /// What is kept there.
    pub record: &'a Record,
}

impl<'a> Rename<'a> {
    /// Moves the record at `from`, if it has the `expected` version, to `to`, where `record` is kept from then on.
    pub const fn new(from: &'a RecordId, expected: &'a Version, to: &'a RecordId, record: &'a Record) -> Self {
        Self {
            from,
            expected,
            to,
            record,
        }
    }
}

/// How a [`load`](crate::SessionStore::load) goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Moves the expiry in the same step, if it is due.
    pub renew: Option<Renewal>,
    /// The answer decides about a write, or about who may do what: it must come from the store itself, past any cache
    /// between. A store without a cache has nothing to do for it.
    pub fresh: bool,
    /// The answer is to say [when the record ends](Stored::ends), as it is after a renewal: whoever keeps it must know.
    pub expiry: bool,
}

impl Load {
    /// A plain read.
    pub const fn new() -> Self {
        Self {
            renew: None,
            fresh: false,
            expiry: false,
        }
    }

    /// With a renewal, or with none.
    #[must_use]
    pub fn renew(mut self, renewal: impl Into<Option<Renewal>>) -> Self {
        self.renew = renewal.into();
        self
    }

    /// Past any cache.
    #[must_use]
    pub const fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// With the end of the record, for whoever keeps what was read.
    #[must_use]
    pub const fn with_expiry(mut self) -> Self {
        self.expiry = true;
        self
    }
}

/// A condition under which a read moves the expiry: if the record expires before `when_before`, it then expires at
/// `to`.
///
/// `when_before` is never later than `to`, so a renewal never shortens a life. A record without expiry is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renewal {
    /// The new expiry.
    pub to: Timestamp,
    /// Only a record that expires before this is renewed.
    pub when_before: Timestamp,
}

impl Renewal {
    /// To this expiry, if the present one is before `when_before`.
    pub const fn new(to: Timestamp, when_before: Timestamp) -> Self {
        Self { to, when_before }
    }

    /// Whether a record with this expiry is to be renewed.
    pub fn is_due(&self, expires_at: Option<Timestamp>) -> bool {
        expires_at.is_some_and(|at| at < self.when_before && at < self.to)
    }
}

/// Where a [`scan`](crate::SessionStore::scan) goes on. Opaque to everyone but the store that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A cursor from the store's own bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes it was made from. They may be written down and used by another process on the same store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").finish_non_exhaustive()
    }
}

/// One page of a [`scan`](crate::SessionStore::scan).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// The records; a page may be empty although more follow.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// Of these records, with more behind `next`.
    pub const fn new(entries: Vec<Entry>, next: Option<Cursor>) -> Self {
        Self { entries, next }
    }
}
