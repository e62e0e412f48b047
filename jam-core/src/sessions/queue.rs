//! A queue per session, so that contenders inside one process take turns instead of spinning on conflicts.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::MutexGuardArc;

type Lock = Arc<async_lock::Mutex<()>>;

/// One waiting line per session that somebody works on; a line vanishes with the last who stands in it.
///
/// It only saves work: across processes, and for callers that do not queue, the store's compare-and-swap decides.
#[derive(Default)]
pub(crate) struct Queue {
    lines: Mutex<HashMap<u64, Lock>>,
    hasher: RandomState,
}

/// A turn. Dropping it lets the next one in.
pub(crate) struct Turn<'a> {
    // Dropped before the ticket: the ticket counts who is left.
    _guard: MutexGuardArc<()>,
    _ticket: Ticket<'a>,
}

struct Ticket<'a> {
    queue: &'a Queue,
    line: u64,
    lock: Lock,
}

impl Queue {
    /// Waits for a turn in the line of `whom`. Dropping the future leaves the line.
    pub(crate) async fn turn(&self, whom: impl Hash) -> Turn<'_> {
        let line = self.hasher.hash_one(whom);
        let lock = Arc::clone(self.lines().entry(line).or_default());
        let ticket = Ticket {
            queue: self,
            line,
            lock,
        };
        let guard = ticket.lock.lock_arc().await;
        Turn {
            _guard: guard,
            _ticket: ticket,
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Lock>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut lines = self.queue.lines();
        // One reference in the map, one here: nobody else is in this line, and nobody can join while the map is locked.
        if Arc::strong_count(&self.lock) == 2 {
            lines.remove(&self.line);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_line_is_gone_when_the_last_has_left_it_even_by_giving_up() {
        let queue = Queue::default();
        let Poll::Ready(turn) = poll_once(pin!(queue.turn("a"))) else {
            panic!("nobody else is there")
        };
        {
            let mut waiting = pin!(queue.turn("a"));
            assert!(poll_once(waiting.as_mut()).is_pending());
            assert!(poll_once(pin!(queue.turn("b"))).is_ready());
        }
        drop(turn);
        assert!(queue.lines().is_empty());
    }
}
