//! What waits for an answer: so much and no more. Callers that gave up leave their calls behind, and while a disk hangs
//! those would fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jam_core::Result;
use tokio::sync::oneshot;

use crate::trouble;

/// Counts the calls that have no answer yet, and their bytes.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

/// Where the answer to a call goes. Until dropped, the call is counted.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    to: oneshot::Sender<Result<T>>,
    since: Instant,
    /// For its drop.
    _counted: Counted,
}

#[derive(Debug)]
struct Counted {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    /// So many calls wait at most.
    const MOST_CALLS: usize = 64 * 1024;
    /// So many bytes of data wait at most (and one call at least).
    const MOST_BYTES: usize = 256 * 1024 * 1024;

    /// Counts a call with so many bytes of data; what answers it, and where its answer arrives.
    ///
    /// # Errors
    /// [`Unavailable`](jam_core::ErrorKind::Unavailable) if too much waits; nothing was done.
    pub(crate) fn count<T>(self: &Arc<Self>, bytes: usize) -> Result<(Reply<T>, oneshot::Receiver<Result<T>>)> {
        let calls_before = self.calls.fetch_add(1, Ordering::Relaxed);
        let bytes_before = match bytes {
            0 => 0,
            _ => self.bytes.fetch_add(bytes, Ordering::Relaxed),
        };
        let counted = Counted {
            backlog: Arc::clone(self),
            bytes,
        };
        let too_long = calls_before > 0 && bytes_before.saturating_add(bytes) > Self::MOST_BYTES;
        if too_long || calls_before >= Self::MOST_CALLS {
            return Err(trouble::too_many_wait());
        }
        let (to, answer) = oneshot::channel();
        let reply = Reply {
            to,
            since: Instant::now(),
            _counted: counted,
        };
        Ok((reply, answer))
    }
}

impl<T> Reply<T> {
    /// Whether nobody waits for it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }

    /// How long its caller has been waiting.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Answers. A caller that is gone has not asked to be told.
    pub(crate) fn send(self, answer: Result<T>) {
        let _ = self.to.send(answer);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.calls.fetch_sub(1, Ordering::Relaxed);
        if self.bytes > 0 {
            self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_is_taken_however_large_it_is() {
        let backlog = Arc::new(Backlog::default());
        let large = Backlog::MOST_BYTES + 1;
        let one = backlog.count::<()>(large).expect("nothing else waits");
        backlog.count::<()>(1).expect_err("too much waits");
        drop(one);
        let _one = backlog.count::<()>(1).expect("nothing else waits");
        let _rest = backlog.count::<()>(large - 2).expect("there is room");
        backlog.count::<()>(1).expect_err("too much waits");
    }
}
