//! The seam for encryption of payloads.

use std::fmt;
use std::sync::Arc;

use crate::{Handle, Life, RecordId, Result, SessionKey};

/// What a payload is sealed for. A payload that was sealed for one use or one id of a session does not open for another: a rework
/// opens the data and seals it again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SealContext<'a> {
    /// What kind of payload it is.
    pub domain: SealDomain,
    /// Where it is kept: whose session it is, and under which id. Of a note, the record that it is left beside.
    pub record: &'a RecordId,
    /// The session's handle; it stays through every rework.
    pub handle: &'a Handle,
    /// The [lasting](Life::lasting) part of the session's life, if its ids tell; it stays through every rework.
    pub life: Option<Life>,
}

impl<'a> SealContext<'a> {
    /// A context of these parts. Of the life only what [lasts](Life::lasting) counts, not when the id was issued.
    pub fn new(domain: SealDomain, record: &'a RecordId, handle: &'a Handle, life: Option<Life>) -> Self {
        Self {
            domain,
            record,
            handle,
            life: life.map(Life::lasting),
        }
    }

    /// Whose session it is.
    pub fn key(&self) -> &'a SessionKey {
        self.record.key()
    }
}

/// What kind of payload is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealDomain {
    /// The application's data.
    Data,
    /// The note that a rotation with grace leaves at the old id.
    GraceNote,
}

/// Seals payloads on their way to the store and opens them on their way back.
///
/// With a sealer in place there is no plaintext path: what does not open is an error, never data.
pub trait Sealer: fmt::Debug + Send + Sync + 'static {
    /// Seals a payload for this use of this session.
    ///
    /// # Errors
    /// [`Crypto`](crate::ErrorKind::Crypto) if it cannot be sealed.
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>>;

    /// Opens what [`seal`](Self::seal) made for the same use of the same session.
    ///
    /// # Errors
    /// [`Crypto`](crate::ErrorKind::Crypto) for anything else: another session's, another use's, changed, cut off,
    /// plaintext.
    fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Vec<u8>>;
}

/// A shared sealer is a sealer.
impl<S: Sealer + ?Sized> Sealer for Arc<S> {
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        (**self).seal(context, plain)
    }

    fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        (**self).open(context, sealed)
    }
}
