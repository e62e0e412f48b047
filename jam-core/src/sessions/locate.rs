//! From a client's id to a record, and from a record to what a manager knows about it.

use std::mem;

use crate::{
    Bytes, Described, Entry, Error, ErrorKind, Handle, IdFactory, InnerId, Life, Load, RecordId, Result, SealContext,
    SealDomain, SessionId, SessionKey, Stored, Timestamp, UuidV4,
};

use super::queue::Whom;
use super::{Inner, Sessions};

/// A record and what its id tells.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) record: RecordId,
    pub(super) described: Described,
}

impl Located {
    pub(super) fn life(&self) -> Option<&Life> {
        self.described.life.as_ref()
    }

    /// Whether both are records of one session, before and after a rework.
    pub(super) fn is_session_of(&self, other: &Self) -> bool {
        let session = |at: &Self| at.life().copied().map(Life::lasting);
        self.record.key() == other.record.key()
            && self.described.handle == other.described.handle
            && session(self) == session(other)
    }

    /// The line of those who change the session by this id. The secret counts as well, or somebody who knows a handle could hold the
    /// line up with ids that are none.
    pub(super) fn whom(&self) -> Whom<'_> {
        Whom::Session(&self.record)
    }

    pub(super) fn context(&self, domain: SealDomain) -> SealContext<'_> {
        SealContext::new(domain, &self.record, &self.described.handle, self.described.life)
    }
}

impl Sessions {
    pub(super) fn located(&self, record: RecordId) -> Located {
        self.inner.located(record)
    }

    /// What this id resolves to; `None` if it is no id of this service. The store is not asked.
    pub(super) fn resolve(&self, id: &str) -> Result<Option<Located>> {
        match self.inner.codec.locate(id) {
            Ok((record, _)) if record.is_reserved() => Ok(None),
            Ok((record, described)) => Ok(Some(Located { record, described })),
            Err(error) if error.kind() == ErrorKind::InvalidId => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, and `None` as well if the session's absolute lifetime is over.
    pub(super) fn locate(&self, id: &str) -> Result<Option<Located>> {
        Ok(self.resolve(id)?.filter(|at| !self.is_over(at)))
    }

    pub(super) fn is_over(&self, at: &Located) -> bool {
        self.inner.expiry.is_over(at.life(), || self.inner.clock.now())
    }

    /// When a session that is written now ends.
    pub(super) fn expires_at(&self, at: &Located) -> Option<Timestamp> {
        self.inner.expiry.expires_at(at.life(), self.inner.clock.now())
    }

    /// How a session is loaded for a reader: renewed if that is due.
    pub(super) fn as_a_reader(&self, at: &Located) -> Load {
        let renewal = self.inner.expiry.renewal(at.life(), || self.inner.clock.now());
        Load::new().renew(renewal)
    }

    /// Loads a session for what is decided by it, past any cache and as it is: where it is, or where a rotation with grace
    /// has moved it.
    pub(super) async fn find_fresh(&self, at: Located) -> Result<Option<(Located, Stored)>> {
        let how = Load::new().fresh();
        match self.inner.store().load(&at.record, how).await? {
            Some(stored) => Ok(Some((at, stored))),
            None => self.successor(&at, how).await,
        }
    }

    /// Every session of a key once, without notes and without those whose absolute lifetime is over.
    pub(super) async fn sessions_of(&self, key: &SessionKey) -> Result<Vec<(Located, Entry)>> {
        let entries = self.inner.store().list(key).await?;
        let sessions = entries.into_iter().filter(|entry| !entry.id.is_reserved());
        let located = sessions.map(|entry| (self.located(entry.id.clone()), entry));
        let mut found: Vec<_> = located.filter(|(at, _)| !self.is_over(at)).collect();
        // A store may list one that is renamed meanwhile at both of its ids.
        if found.len() > 1 && self.inner.codec.keeps_life() {
            found.sort_by(|(a, _), (b, _)| (&a.described.handle, a.life()).cmp(&(&b.described.handle, b.life())));
            found.dedup_by(|next, kept| {
                let are_one = next.0.is_session_of(&kept.0);
                if are_one {
                    mem::swap(next, kept);
                }
                are_one
            });
        }
        Ok(found)
    }

    /// An id with a handle and a secret of its own.
    pub(super) fn new_id(&self, key: SessionKey, life: Life) -> Result<InnerId> {
        match &self.inner.factory {
            Some(factory) => InnerId::generate(key, Handle::new(factory.next_id())?, life),
            None => InnerId::generate_v4(life, |_| Ok(key)),
        }
    }

    /// The same, with a key of its own.
    pub(super) fn new_visitor_id(&self, prefix: &str, life: Life) -> Result<InnerId> {
        let key = |unique: &str| SessionKey::new([prefix, unique].concat());
        // Where ids are handed to clients as they are made, what is unique about one is its secret as well.
        if self.inner.factory.is_none() && self.inner.codec.keeps_life() {
            InnerId::generate_v4(life, key)
        } else {
            self.new_id(key(&UuidV4.next_id())?, life)
        }
    }
}

impl Inner {
    /// The client's and the store's form of a new id.
    pub(super) fn issue(&self, id: &InnerId) -> Result<(SessionId, RecordId)> {
        let issued = self.codec.issue(id)?;
        if issued.1.is_reserved() {
            let message = "the `IdCodec` made a record id that ends with `~`, which is kept for jam's own notes: no list would show \
                           the session, and no revocation find it";
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        Ok(issued)
    }

    pub(super) fn located(&self, record: RecordId) -> Located {
        let described = self.codec.describe(&record);
        Located { record, described }
    }

    pub(super) fn seal(&self, at: &Located, payload: Bytes) -> Result<Bytes> {
        match &self.sealer {
            Some(sealer) => Ok(sealer.seal(&at.context(SealDomain::Data), &payload)?.into()),
            None => Ok(payload),
        }
    }

    pub(super) fn open(&self, at: &Located, payload: &Bytes) -> Result<Bytes> {
        match &self.sealer {
            Some(sealer) => Ok(sealer.open(&at.context(SealDomain::Data), payload)?.into()),
            None => Ok(payload.clone()),
        }
    }
}
