//! The durable side of the store: the newest journal, the document behind it, and what is done when one of them fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_core::memory::Table;
use jam_core::{Error, ErrorKind, Result};

use super::change::Change;
use super::compaction::{Compaction, remove_journals};
use super::document::{self, Head};
use super::errors::{unavailable, unwritable};
use super::journal::{AppendError, Journal};
use super::journal_text::write_batch;
use super::paths::Paths;
use super::recover::{Recovered, Start};
use crate::Durability;
use crate::fs::{Fs, LockFile};

/// An attempt at a new document that fails after longer than this is not repeated at every write.
const SLOW_ATTEMPT: Duration = Duration::from_millis(100);

/// Where and how a store keeps its files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) paths: Arc<Paths>,
    pub(super) durability: Durability,
    /// The length from which on a journal is long, in bytes.
    pub(super) compact_after: u64,
}

/// The durable side of the store. Everything acknowledged is in the document or in the journals that follow it;
/// whatever fails, the step before it has left that so.
#[derive(Debug)]
pub(super) struct Log {
    place: Place,
    table: Arc<Table>,
    /// The newest generation there is a file of.
    generation: u64,
    /// The number of the last acknowledged change.
    sequence: u64,
    /// `None`: given up. A new document and a new journal come before anything else is written.
    journal: Option<Journal>,
    /// A journal was given up, and no new document was tried since.
    given_up: bool,
    /// Journals whose changes the document does not have for sure, the newest included.
    journals: BTreeSet<u64>,
    document_len: u64,
    /// The document says that no journal goes with it, and no change was made since.
    at_rest: bool,
    compaction: Option<Compaction>,
    compact_at: u64,
    /// When a new document may be tried again.
    retry_at: Option<Instant>,
    // Last, so that it is let go when everything else is closed.
    lock: LockFile,
}

impl Log {
    /// Brings what was found into order and begins a journal.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if a file operation fails; nothing is lost then.
    pub(super) fn begin(place: Place, lock: LockFile, found: Recovered) -> Result<Self> {
        let mut log = Self {
            place,
            table: Arc::new(found.table),
            generation: found.generation,
            sequence: found.sequence,
            journal: None,
            given_up: false,
            journals: found.journals,
            document_len: 0,
            at_rest: false,
            compaction: None,
            compact_at: 0,
            retry_at: None,
            lock,
        };
        match found.start {
            Start::New => {
                log.generation = 1;
                log.begin_journal()?;
            }
            Start::AtRest(len) => {
                log.document_len = len;
                log.at_rest = true;
                log.begin_journal()?;
            }
            Start::Anew => log.begin_anew()?,
        }
        log.compact_at = log.place.compact_after.max(log.document_len);
        Ok(log)
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The number of the last acknowledged change.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Makes a batch of changes durable.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable): none of them was made; with
    /// [`outcome_unknown`](Error::outcome_unknown), a crash before the next successful write may bring them back.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut line = Vec::new();
        write_batch(&mut line, self.sequence + 1, changes).map_err(unwritable)?;
        if self.journal.is_none() {
            self.begin_anew()?;
        }
        let Some(journal) = &mut self.journal else {
            return Err(Error::new(ErrorKind::Unexpected, "a new journal is not there"));
        };
        let failed = |error| unavailable("writing", &self.place.paths.journal(self.generation), error);
        match journal.append(&line) {
            Ok(()) => {
                self.at_rest = false;
                self.sequence += changes.len() as u64;
                Ok(())
            }
            Err(AppendError::NotWritten(error)) => Err(failed(error)),
            Err(AppendError::GivenUp(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the journal of the sessions file failed; a new document and journal follow"
                );
                let error = failed(error).with_outcome_unknown();
                self.give_up_journal();
                Err(error)
            }
        }
    }

    fn give_up_journal(&mut self) {
        self.at_rest = false;
        self.journal = None;
        self.given_up = true;
    }

    /// Begins anew if the journal was given up, and does not wait for the next write: who removed the journal has
    /// removed what was acknowledged, and only this process still has it.
    pub(super) fn mend(&mut self) {
        if !self.given_up {
            return;
        }
        if let Err(error) = self.begin_anew() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no new document and journal could be begun; the next write tries again"
            );
        }
    }

    /// Whether the journal has outgrown the document.
    pub(super) fn wants_compaction(&self) -> bool {
        self.compaction.is_none()
            && self
                .journal
                .as_ref()
                .is_some_and(|journal| journal.len() > self.compact_at)
    }

    /// Begins a new journal and starts to write the document it follows; `done` is called at the end.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the new journal cannot be begun; the old one goes on if it can.
    pub(super) fn start_compaction(&mut self, done: impl FnOnce(u64) + Send + 'static) -> Result<()> {
        let Some(journal) = &mut self.journal else {
            return self.begin_anew();
        };
        // However it ends, the next try comes after as much again.
        let more = self.place.compact_after.max(self.document_len);
        self.compact_at = journal.len().saturating_add(more);
        let path = self.place.paths.journal(self.generation);
        if let Err(error) = journal.seal() {
            self.give_up_journal();
            return Err(unavailable("syncing", &path, error));
        }
        self.check_lock()?;
        let replaces = self.journals.clone();
        self.generation += 1;
        if let Err(error) = self.begin_journal() {
            // The journal before is whole, and the file begun in vain has no changes.
            self.generation -= 1;
            return Err(error);
        }
        self.at_rest = false;
        let head = Head::new(self.generation, self.sequence, true);
        let paths = &self.place.paths;
        let generation = self.generation;
        let started = Compaction::start(&self.place, &self.table, head, replaces, move || done(generation));
        self.compaction = Some(started.map_err(|error| unavailable("compacting", paths.document(), error))?);
        Ok(())
    }

    /// Whether a document is being written in the background.
    pub(super) fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Takes note that the compaction to this generation has ended, and tells how; `None` if it is not the one under
    /// way.
    pub(super) fn finish_compaction(&mut self, generation: u64) -> Option<Result<()>> {
        let compaction = self.compaction.take_if(|_| generation == self.generation)?;
        let replaced = compaction.replaces.clone();
        Some(self.note_compaction(compaction.finish(), &replaced))
    }

    /// Stops a compaction, if one is under way: before anything else may write the document, and at the end.
    fn stop_compaction(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            let replaced = compaction.replaces.clone();
            // It was only an attempt to make the files smaller.
            let _ = self.note_compaction(compaction.stop(), &replaced);
        }
    }

    fn note_compaction(&mut self, outcome: Result<Option<u64>>, replaced: &BTreeSet<u64>) -> Result<()> {
        if let Some(len) = outcome? {
            self.journals.retain(|generation| !replaced.contains(generation));
            self.document_len = len;
            self.compact_at = self.place.compact_after.max(len);
        }
        Ok(())
    }

    /// Writes the document and removes the journals: the resting form.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if a file operation fails; the journals stay, and nothing is lost.
    pub(super) fn rest(&mut self) -> Result<()> {
        self.stop_compaction();
        self.check_lock()?;
        self.journal = None;
        if !self.at_rest {
            self.write_document()?;
        }
        remove_journals(&*self.place.fs, &self.place.paths, &self.journals);
        self.journals.clear();
        Ok(())
    }

    /// Lets go. The document is written only where no journal has what it lacks.
    pub(super) fn let_go(&mut self) {
        self.stop_compaction();
        let is_there = |journal: &Journal| journal.is_there().unwrap_or(false);
        let written = match self.check_lock() {
            Ok(()) if self.at_rest || self.journal.as_ref().is_some_and(is_there) => Ok(()),
            Ok(()) => self.write_document(),
            // Where everything was moved away together, it is whole there.
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the journal failed or was removed, and what was in it could not be written elsewhere"
            );
        } else if self.at_rest {
            remove_journals(&*self.place.fs, &self.place.paths, &self.journals);
        }
    }

    /// Begins anew after a failure: a document of all that was acknowledged, and a journal after it.
    fn begin_anew(&mut self) -> Result<()> {
        self.given_up = false;
        self.stop_compaction();
        let started = Instant::now();
        if self.retry_at.is_some_and(|at| started < at) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the sessions file could not be written a moment ago; reads go on, and writes as soon as the cause is gone",
            ));
        }
        self.check_lock()?;
        let begun = self.write_document().and_then(|()| {
            remove_journals(&*self.place.fs, &self.place.paths, &self.journals);
            self.journals.clear();
            self.begin_journal()
        });
        let took = started.elapsed();
        self.retry_at = (begun.is_err() && took > SLOW_ATTEMPT).then(|| started + 2 * took);
        begun
    }

    /// That nobody else has the store: whoever moves its files away moves the lock with them, and another process may have one of
    /// its own there by now.
    fn check_lock(&self) -> Result<()> {
        let path = self.place.paths.lock();
        match self.lock.is_at(&path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the files of this store were moved away or replaced while it was open: {} is not the lock that it has; open it \
                     anew, and do not move or remove the files of a store that is open",
                    path.display()
                ),
            )),
            Err(error) => Err(unavailable("looking at", &path, error)),
        }
    }

    /// Writes a document of a new generation that no journal goes with yet.
    fn write_document(&mut self) -> Result<()> {
        let Place { fs, paths, .. } = &self.place;
        // A generation is never used twice: the document of a failed attempt may be in place.
        self.generation += 1;
        let head = Head::new(self.generation, self.sequence, false);
        self.document_len = document::write(&**fs, paths, &self.table, head)?;
        self.compact_at = self.place.compact_after.max(self.document_len);
        self.at_rest = true;
        Ok(())
    }

    /// Begins the journal of this generation.
    fn begin_journal(&mut self) -> Result<()> {
        let Place {
            fs, paths, durability, ..
        } = &self.place;
        let journal = Journal::begin(&**fs, paths, *durability, self.generation, self.sequence)
            .map_err(|error| unavailable("beginning", &paths.journal(self.generation), error))?;
        self.journal = Some(journal);
        self.journals.insert(self.generation);
        Ok(())
    }
}
