//! What waits for the writer: so much and no more. Callers that gave up leave their calls behind, and while a device hangs
//! those would fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jam_core::{Error, ErrorKind, Result};

/// Counts the calls that the writer has not taken yet, and their bytes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

/// A call that is counted, until dropped.
#[derive(Debug)]
pub(super) struct Counted {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    /// So many calls wait at most.
    pub(super) const MOST_CALLS: usize = 64 * 1024;
    /// So many bytes of payload wait at most (and one call at least).
    pub(super) const MOST_BYTES: usize = 256 * 1024 * 1024;

    /// Counts a call with so many bytes of payload.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if too much waits; nothing was done.
    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Result<Counted> {
        let calls_before = self.calls.fetch_add(1, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let counted = Counted {
            backlog: Arc::clone(self),
            bytes,
        };
        let too_long = calls_before > 0 && bytes_before.saturating_add(bytes) > Self::MOST_BYTES;
        if too_long || calls_before >= Self::MOST_CALLS {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "too many writes wait for the sessions file: its device hangs, or is slower than what is asked of it; reads \
                 go on",
            ));
        }
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.calls.fetch_sub(1, Ordering::Relaxed);
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_waits_as_is_allowed_and_not_a_byte_more() {
        let backlog = Arc::new(Backlog::default());
        let all = backlog.count(Backlog::MOST_BYTES - 1).expect("room for it");
        let last = backlog.count(1).expect("room for it");
        let error = backlog.count(1).expect_err("no room is left");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        backlog.count(0).expect("it takes none");
        drop((all, last));
        backlog.count(Backlog::MOST_BYTES + 1).expect("one call at least");
    }
}
