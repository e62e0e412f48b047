//! Compaction: the document written anew in the background, while writes go on in a new journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use jam_core::Result;
use jam_core::memory::Table;

use super::document::{self, Head};
use super::errors::unavailable;
use super::journal::remove_if_there;
use super::log::Place;
use super::paths::Paths;
use crate::Durability;
use crate::fs::Fs;

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Compaction {
    /// `None` once it was waited for.
    thread: Option<JoinHandle<Outcome>>,
    stop: Arc<AtomicBool>,
    /// The journals the document replaces.
    pub(super) replaces: BTreeSet<u64>,
}

/// The document's length; `None` if it was stopped before it took the place of the old one.
pub(super) type Outcome = Result<Option<u64>>;

impl Compaction {
    /// Starts to write the document; `done` is called when it is written, or not.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(
        place: &Place,
        table: &Arc<Table>,
        head: Head,
        replaces: BTreeSet<u64>,
        done: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let Place { fs, paths, .. } = place;
        let (fs, paths, table) = (Arc::clone(fs), Arc::clone(paths), Arc::clone(table));
        let durability = place.durability;
        let (stopped, old) = (Arc::clone(&stop), replaces.clone());
        let done = Done(Some(done));
        let thread = thread::Builder::new().name("jam-json-compact".into()).spawn(move || {
            let seal = || seal_journal(&*fs, &paths, durability, head.generation);
            let outcome = document::write_unless_stopped(&*fs, &paths, &table, head, &stopped, seal);
            if matches!(outcome, Ok(Some(_))) {
                remove_journals(&*fs, &paths, &old);
            }
            drop(done);
            outcome
        })?;
        let thread = Some(thread);
        Ok(Self { thread, stop, replaces })
    }

    /// Waits for the end.
    pub(super) fn finish(mut self) -> Outcome {
        let joined = self.thread.take().map(JoinHandle::join);
        joined.and_then(thread::Result::ok).unwrap_or_else(|| {
            Err(jam_core::Error::new(
                jam_core::ErrorKind::Unexpected,
                "the thread that writes the document panicked",
            ))
        })
    }

    /// Asks it to stop and waits for the end.
    pub(super) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

/// Where the writer panics: nobody else may have the files before this has ended.
impl Drop for Compaction {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Brings to the device what the document may hold a part of: a rename that is half in it is whole only with its
/// journal.
fn seal_journal(fs: &dyn Fs, paths: &Paths, durability: Durability, generation: u64) -> Result<()> {
    if durability != Durability::Os {
        // Nothing gets into the table before it is there.
        return Ok(());
    }
    let file = paths.journal(generation);
    fs.sync_file(&file)
        .map_err(|error| unavailable("syncing", &file, error))
}

/// Tells that a compaction has ended, even by a panic: somebody may wait for it.
struct Done<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Done<F> {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done();
        }
    }
}

/// Removes journals that the document has replaced. What cannot be removed is older than the document, so it is passed
/// over and removed at the next open.
pub(super) fn remove_journals(fs: &dyn Fs, paths: &Paths, generations: &BTreeSet<u64>) {
    for generation in generations {
        let file = paths.journal(*generation);
        if let Err(error) = remove_if_there(fs, &file) {
            tracing::warn!(
                file = %file.display(),
                error = &error as &dyn std::error::Error,
                "an old journal could not be removed; it will be at the next open"
            );
        }
    }
}
