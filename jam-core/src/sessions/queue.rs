//! A queue per id, so that contenders inside one process take turns instead of spinning on conflicts. (Those who come with the old id and
//! with the new one during a grace do not meet in it.)

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::MutexGuardArc;

use crate::{RecordId, SessionKey};

/// One waiting line per id that somebody works on; a line vanishes with the last who stands in it.
///
/// It only saves work: across processes, and for callers that do not queue, the store's compare-and-swap decides.
#[derive(Default)]
pub(crate) struct Queue {
    lines: Mutex<HashMap<u64, Line>>,
    hasher: RandomState,
}

/// A line and how many stand in it, whoever has the turn included.
#[derive(Default)]
struct Line {
    lock: Arc<async_lock::Mutex<()>>,
    standing: usize,
}

/// Whose line it is. Told apart by what it is as well, for a session may have the key and the id of anything: whoever waited for
/// one line while having the turn in the other could otherwise wait for itself.
#[derive(Hash)]
pub(crate) enum Whom<'a> {
    /// Those who change a session.
    Session(&'a RecordId),
    /// Those who add a session where there is a cap.
    Newcomers(&'a SessionKey),
}

/// A turn. Dropping it lets the next one in.
pub(crate) struct Turn<'a> {
    _guard: MutexGuardArc<()>,
    _ticket: Ticket<'a>,
}

struct Ticket<'a> {
    queue: &'a Queue,
    line: u64,
}

impl Queue {
    /// Waits for a turn in the line of `whom`. Dropping the future leaves the line.
    pub(crate) async fn turn(&self, whom: impl Hash) -> Turn<'_> {
        let number = self.hasher.hash_one(whom);
        let lock = {
            let mut lines = self.lines();
            let line = lines.entry(number).or_default();
            line.standing += 1;
            Arc::clone(&line.lock)
        };
        let ticket = Ticket {
            queue: self,
            line: number,
        };
        Turn {
            _guard: lock.lock_arc().await,
            _ticket: ticket,
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut lines = self.queue.lines();
        let Some(line) = lines.get_mut(&self.line) else { return };
        line.standing -= 1;
        if line.standing == 0 {
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

    #[test]
    fn no_line_is_left_when_many_come_and_go_at_once() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..20_000 {
                        drop(futures_lite::future::block_on(queue.turn(number % 3)));
                    }
                });
            }
        });
        assert!(queue.lines().is_empty());
    }

    #[test]
    fn only_one_has_the_turn() {
        let queue = Queue::default();
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let turn = futures_lite::future::block_on(queue.turn("a"));
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
    }
}
