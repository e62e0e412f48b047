//! Which process has opened a store: in one that was forked off later, the threads that do the work are not there.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use jam_core::{Error, ErrorKind, Result, Timestamp};

/// The process that has opened a store.
#[derive(Debug)]
pub(crate) struct Opener {
    process: u32,
    /// The time of the last read that asked.
    asked_at: AtomicU64,
}

impl Opener {
    /// This process.
    pub(crate) fn this() -> Self {
        Self {
            process: process::id(),
            asked_at: AtomicU64::new(0),
        }
    }

    /// Refuses in any other process.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable); nothing was done.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the process was forked since the store was opened; open the store in each process, after the fork",
        ))
    }

    /// The same for reads from memory, once a millisecond: to ask the system each time can cost as much as the read.
    /// What another process is given before it asks was so less than a millisecond ago.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn check_read(&self, now: Timestamp) -> Result<()> {
        let now = now.as_millis();
        if self.asked_at.load(Ordering::Relaxed) != now {
            self.check()?;
            self.asked_at.store(now, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether this is that process.
    pub(crate) fn is_here(&self) -> bool {
        self.process == process::id()
    }

    /// What a process has that is forked off now.
    #[cfg(test)]
    pub(crate) fn forked(&self) -> Self {
        Self {
            process: self.process.wrapping_add(1),
            asked_at: AtomicU64::new(self.asked_at.load(Ordering::Relaxed)),
        }
    }
}
