//! The seam between what a client holds and what a store keeps.

use std::fmt;
use std::sync::Arc;

use crate::{Handle, InnerId, Life, RecordId, Result, SessionId};

/// How an inner id becomes what the client holds, and what the store keeps.
///
/// | codec | the client holds | the store keeps |
/// |---|---|---|
/// | [`HashedIds`](crate::HashedIds), the default | the inner id | it with the secret replaced by a hash |
/// | `AesIds` of jam-crypto | `J$_` and the sealed inner id | the same |
/// | [`PlainIds`](crate::PlainIds) | `<key>:<unique>` | the same as the client |
/// | `FernetIds` of jam-crypto | `J$_` and the Fernet token of `<key>:<unique>` | the same as the client |
pub trait IdCodec: fmt::Debug + Send + Sync + 'static {
    /// Gives the client's and the store's form of an inner id. The latter does not end with `~`, which jam's own notes do
    /// ([`RecordId::is_reserved`]): such a session is refused, [`Unexpected`](crate::ErrorKind::Unexpected). Where it
    /// [keeps a life](Self::keeps_life) it holds no line break either.
    ///
    /// # Errors
    /// [`Crypto`](crate::ErrorKind::Crypto) if it cannot be sealed.
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)>;

    /// Finds the record id of what a client sent. Called with any text at all.
    ///
    /// # Errors
    /// [`InvalidId`](crate::ErrorKind::InvalidId) for everything that [`issue`](Self::issue) did not make (as far as
    /// the codec can tell without asking the store).
    fn resolve(&self, public: &str) -> Result<RecordId>;

    /// Says what a record id tells about its session. Called with ids of records that are in the store, also ones that
    /// another codec made; those get a handle by which they can be revoked.
    fn describe(&self, id: &RecordId) -> Described;

    /// Both in one: the record id of what a client sent, and what it tells. Every call of the manager that is given an id begins
    /// with it; a codec that learns the one while it finds the other says so here, and need not read the record id again.
    /// It has to be what [`resolve`](Self::resolve) and then [`describe`](Self::describe) say, for lists come from the one
    /// and reads from the other.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve).
    fn locate(&self, public: &str) -> Result<(RecordId, Described)> {
        let record = self.resolve(public)?;
        let described = self.describe(&record);
        Ok((record, described))
    }

    /// Whether handle and life are part of the record id. Without, lifetimes that need the creation time, a ttl of a
    /// session's own and rotation with grace are refused with [`Config`](crate::ErrorKind::Config), and a rework makes
    /// a new handle.
    fn keeps_life(&self) -> bool;
}

/// A shared codec is a codec.
impl<C: IdCodec + ?Sized> IdCodec for Arc<C> {
    fn issue(&self, inner: &InnerId) -> Result<(SessionId, RecordId)> {
        (**self).issue(inner)
    }

    fn resolve(&self, public: &str) -> Result<RecordId> {
        (**self).resolve(public)
    }

    fn describe(&self, id: &RecordId) -> Described {
        (**self).describe(id)
    }

    fn locate(&self, public: &str) -> Result<(RecordId, Described)> {
        (**self).locate(public)
    }

    fn keeps_life(&self) -> bool {
        (**self).keeps_life()
    }
}

/// What a record id tells about its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The session's handle.
    pub handle: Handle,
    /// Its life, if the id tells.
    pub life: Option<Life>,
}

impl Described {
    /// From a handle and, if the id tells, a life.
    pub fn new(handle: Handle, life: Option<Life>) -> Self {
        Self { handle, life }
    }

    /// A record id that tells nothing: the handle is a truncated SHA-256 of it, so it names the record without giving
    /// it away.
    pub fn opaque(id: &RecordId) -> Self {
        Self {
            handle: Handle::of_opaque(id),
            life: None,
        }
    }
}
