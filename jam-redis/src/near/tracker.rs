//! The tracked connection of one server: opened when somebody reads, and again when it is lost.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Result};

use super::tracked::Heart;
use super::{Near, Tracked};
use crate::connect::Node;

/// What there is of it.
pub(crate) struct Tracker {
    near: Arc<Near>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts up when what is under way is not wanted any more.
    round: u64,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Off,
    /// The last attempt failed.
    Failed(Instant, Duration),
    Opening,
    On(
        Arc<Tracked>,
        #[expect(dead_code, reason = "it ends when it is dropped")] Heart,
    ),
}

impl Tracker {
    /// After a failed attempt, and after one that the server refused.
    const PAUSE: Duration = Duration::from_millis(200);
    const LONG_PAUSE: Duration = Duration::from_secs(10);

    pub(crate) fn new(near: &Arc<Near>) -> Self {
        Self {
            near: Arc::clone(near),
            state: Mutex::default(),
        }
    }

    /// The connection, if it is there and to be trusted. If not, somebody sees to it in the background.
    pub(crate) fn tracked(&self, node: &Arc<Node>, probe: &[u8]) -> Option<Arc<Tracked>> {
        let mut state = self.lock();
        match &state.stage {
            Stage::On(tracked, _) if !tracked.has_ended() => {
                if tracked.holds(self.near.now()) {
                    return Some(Arc::clone(tracked));
                }
                tracked.wake();
                return None;
            }
            Stage::Opening => return None,
            Stage::Failed(at, pause) if at.elapsed() < *pause => return None,
            Stage::Failed(..) | Stage::Off | Stage::On(..) => {}
        }
        if tokio::runtime::Handle::try_current().is_ok() {
            state.stage = Stage::Opening;
            let attempt = Attempt {
                node: Arc::clone(node),
                round: state.round,
                outcome: None,
            };
            drop(state);
            tokio::spawn(attempt.run(probe.into()));
        }
        None
    }

    /// Lets go of the connection, and of one that is being opened, and forgets what was read.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.round += 1;
        let stage = mem::take(&mut state.stage);
        drop(state);
        if let Stage::On(tracked, _) = &stage {
            tracked.end(&self.near);
        }
    }

    fn settle(&self, node: &Arc<Node>, round: u64, outcome: Option<Result<Tracked>>) {
        let mut state = self.lock();
        if state.round != round {
            return;
        }
        state.stage = match outcome {
            Some(Ok(tracked)) => {
                let tracked = Arc::new(tracked);
                let heart = Heart::start(&tracked, node, &self.near);
                Stage::On(tracked, heart)
            }
            Some(Err(error)) if error.kind() == ErrorKind::Config => {
                tracing::warn!(%error, "the near cache of the Redis store is off");
                Stage::Failed(Instant::now(), Self::LONG_PAUSE)
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the near cache of the Redis store is off for a moment");
                Stage::Failed(Instant::now(), Self::PAUSE)
            }
            // The runtime has ended before the attempt did.
            None => Stage::Off,
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.reset();
    }
}

/// An attempt to open the connection, whichever way it ends.
struct Attempt {
    node: Arc<Node>,
    round: u64,
    outcome: Option<Result<Tracked>>,
}

impl Attempt {
    async fn run(mut self, probe: Vec<u8>) {
        if let Some(tracker) = self.node.tracker() {
            self.outcome = Some(Tracked::open(&self.node, &tracker.near, &probe).await);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        if let Some(tracker) = self.node.tracker() {
            tracker.settle(&self.node, self.round, outcome);
        }
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").finish_non_exhaustive()
    }
}
