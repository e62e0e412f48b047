//! Rotation with grace: the note at an old id that leads to the session's new one.

use super::{Located, Sessions, facts};
use crate::{Error, ErrorKind, Load, Record, RecordId, Result, SealDomain, Stored};

/// What a note begins with; no JSON object does, so no application data can pass for one.
const FRAME: &[u8] = b"\0jam-grace\x01";
/// How many rotations that ran at the same moment one note remembers. Each manager queues its own, so this is
/// processes.
const MAX_TARGETS: usize = 16;
/// How many records are looked at on the way from an old id; a bound against loops, far above any real chain.
const MAX_LOOKS: usize = 64;

impl Sessions {
    /// The session that a missing record was rotated to, if a note leads there.
    ///
    /// A note names every id a rotation tried to give; at most one of them was given, and the others never resolve.
    pub(super) async fn successor(&self, missing: &Located, how: Load) -> Result<Option<(Located, Stored)>> {
        if self.inner.grace.is_none() {
            return Ok(None);
        }
        // In a place of its own, or the future of every operation would carry the room for it.
        Box::pin(self.follow_notes(missing, how)).await
    }

    async fn follow_notes(&self, missing: &Located, how: Load) -> Result<Option<(Located, Stored)>> {
        let mut looks = 0;
        let mut trail = vec![missing.record.clone()];
        while let Some(record) = trail.pop() {
            for target in self.note_targets(missing, &record, how.fresh).await? {
                looks += 1;
                if looks > MAX_LOOKS {
                    return Ok(None);
                }
                if let Some(stored) = self.inner.store.load(&target, how).await? {
                    facts::note(|facts| facts.grace = true);
                    return Ok(Some((self.located(target), stored)));
                }
                trail.push(target);
            }
        }
        Ok(None)
    }

    /// Writes into the note beside `at` that the session may soon be found at `target`. Before the rename, so that
    /// there is no moment at which neither id works.
    pub(super) async fn leave_note(&self, at: &Located, target: &RecordId) -> Result<()> {
        let Some(grace) = self.inner.grace else { return Ok(()) };
        let note_id = at.record.reserved()?;
        let expires_at = Some(self.inner.clock.now().plus(grace));
        let store = &self.inner.store;
        for _ in 0..self.inner.attempts {
            let before = store.load(&note_id, Load::new().fresh()).await?;
            // Another process rotates the same session right now, or gave up half way: keep its target as well.
            let mut targets = before
                .as_ref()
                .map(|stored| self.open_note(at, stored))
                .unwrap_or_default();
            targets.push(target.clone());
            let surplus = targets.len().saturating_sub(MAX_TARGETS);
            let record = Record::new(self.seal_note(at, &targets[surplus..])?, expires_at);
            let written = match &before {
                None => store.insert(&note_id, &record).await,
                Some(stored) => store.replace(&note_id, Some(&stored.version), &record).await,
            };
            match written.map_err(|error| (error.kind(), error)) {
                Err((ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::NotFound, _)) => {
                    facts::note(|facts| facts.retries += 1);
                }
                Err((_, error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        Err(self.gave_up())
    }

    /// Where the note beside a record of this session leads, if there is one.
    pub(super) async fn note_targets(&self, at: &Located, record: &RecordId, fresh: bool) -> Result<Vec<RecordId>> {
        let how = if fresh { Load::new().fresh() } else { Load::new() };
        let note = self.inner.store.load(&record.reserved()?, how).await?;
        let beside = || Located {
            record: record.clone(),
            ..at.clone()
        };
        Ok(note
            .map(|stored| self.open_note(&beside(), &stored))
            .unwrap_or_default())
    }

    /// A note that names these targets; one that names none says that there was a session here.
    pub(super) fn seal_note(&self, at: &Located, targets: &[RecordId]) -> Result<Vec<u8>> {
        let mut note = FRAME.to_vec();
        let ids: Vec<_> = targets.iter().map(RecordId::id).collect();
        note.extend_from_slice(ids.join("\n").as_bytes());
        match &self.inner.sealer {
            Some(sealer) => sealer.seal(&at.context(SealDomain::GraceNote), &note),
            None => Ok(note),
        }
    }

    /// Where a note leads. One that does not open or reads wrong, such as from before encryption was switched on, leads
    /// nowhere: the old id is dead a little early, and nobody is kept from logging out.
    fn open_note(&self, at: &Located, stored: &Stored) -> Vec<RecordId> {
        self.read_note(at, stored).unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the note at an old id leads nowhere"
            );
            Vec::new()
        })
    }

    fn read_note(&self, at: &Located, stored: &Stored) -> Result<Vec<RecordId>> {
        let opened = match &self.inner.sealer {
            Some(sealer) => sealer.open(&at.context(SealDomain::GraceNote), &stored.payload)?,
            None => stored.payload.to_vec(),
        };
        let corrupt = || Error::new(ErrorKind::Corrupt, "the note at an old id is damaged");
        let ids = opened
            .strip_prefix(FRAME)
            .and_then(|ids| str::from_utf8(ids).ok())
            .ok_or_else(corrupt)?;
        // A note can only lead to the same session: same key, same handle, same life.
        let same = |target: &RecordId| self.located(target.clone()).is_session_of(at) && !target.is_reserved();
        let target = |id: &str| {
            RecordId::new(at.record.key().clone(), id)
                .ok()
                .filter(same)
                .ok_or_else(corrupt)
        };
        ids.split('\n').map(target).collect()
    }
}
