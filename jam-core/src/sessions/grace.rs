//! The note at an old id: where a rotation with grace leads, and that the session goes on under another id.

use std::time::Duration;

use super::{Located, Sessions, facts};
use crate::{Error, ErrorKind, Load, Record, RecordId, Result, SealDomain, Stored};

/// What a note begins with; no JSON object does, so no application data can pass for one.
const FRAME: &[u8] = b"\0jam-grace\x01";
/// How many rotations that ran at the same moment one note remembers. Each manager queues its own, so this is
/// processes.
const MAX_TARGETS: usize = 16;
/// How many records are looked at on the way from an old id; a bound against loops, far above any real chain.
const MAX_LOOKS: usize = 64;

/// What a note says, one line each: the ids of targets, and an empty line if the session was superseded.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Every id a rotation with grace tried to give.
    pub(super) targets: Vec<RecordId>,
    /// Whether it goes on under an id that this note does not tell.
    pub(super) superseded: bool,
}

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
            for target in self.note(missing, &record, how.fresh).await?.targets {
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
        self.write_note(at, grace, |note| {
            note.targets.push(target.clone());
            let surplus = note.targets.len().saturating_sub(MAX_TARGETS);
            note.targets.drain(..surplus);
        })
        .await
    }

    /// Writes the note beside `at`, or adds to it: another process may rotate the same session right now, or gave up half
    /// way.
    pub(super) async fn write_note(&self, at: &Located, lasting: Duration, add: impl Fn(&mut Note)) -> Result<()> {
        let note_id = at.record.reserved()?;
        let expires_at = self.inner.clock.now().plus(lasting);
        let store = &self.inner.store;
        for _ in 0..self.inner.attempts {
            let before = store.load(&note_id, Load::new().fresh()).await?;
            let mut note = before
                .as_ref()
                .map(|stored| self.open_note(at, stored))
                .unwrap_or_default();
            add(&mut note);
            let record = Record::new(self.seal_note(at, &note)?, Some(expires_at));
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

    /// The note beside a record, or an empty one.
    pub(super) async fn note(&self, at: &Located, record: &RecordId, fresh: bool) -> Result<Note> {
        let how = if fresh { Load::new().fresh() } else { Load::new() };
        let note = self.inner.store.load(&record.reserved()?, how).await?;
        Ok(note.map(|stored| self.open_note(at, &stored)).unwrap_or_default())
    }

    fn seal_note(&self, at: &Located, note: &Note) -> Result<Vec<u8>> {
        let mut lines: Vec<_> = note.targets.iter().map(RecordId::id).collect();
        if note.superseded {
            lines.push("");
        }
        let mut note = FRAME.to_vec();
        note.extend_from_slice(lines.join("\n").as_bytes());
        match &self.inner.sealer {
            Some(sealer) => sealer.seal(&at.context(SealDomain::GraceNote), &note),
            None => Ok(note),
        }
    }

    /// Where a note leads. One that does not open or reads wrong, such as from before encryption was switched on, leads
    /// nowhere: the old id is dead a little early, and nobody is kept from logging out.
    fn open_note(&self, at: &Located, stored: &Stored) -> Note {
        self.read_note(at, stored).unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the note at an old id leads nowhere"
            );
            Note::default()
        })
    }

    fn read_note(&self, at: &Located, stored: &Stored) -> Result<Note> {
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
        let (marks, ids): (Vec<_>, Vec<_>) = ids.split('\n').partition(|id| id.is_empty());
        Ok(Note {
            targets: ids.into_iter().map(target).collect::<Result<_>>()?,
            superseded: !marks.is_empty(),
        })
    }
}
