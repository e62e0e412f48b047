//! Many tasks that use a store at the same time, each the only one to touch its session keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jam_core::SessionStore;
use jam_redis::RedisStore;
use tokio::task::JoinHandle;

use super::account::{Account, Wrong};
use super::task::Task;

/// What a task is called by, and the number of its key.
type Naming = dyn Fn(usize, usize) -> String + Send + Sync;

/// Load that runs until it is stopped.
pub(crate) struct Load {
    tasks: Vec<JoinHandle<Report>>,
    shared: Arc<Shared>,
}

/// What the tasks share.
pub(crate) struct Shared {
    pub(crate) store: Arc<RedisStore>,
    pub(crate) naming: Box<Naming>,
    pub(crate) stop: AtomicBool,
    /// Whether sessions move between keys too.
    pub(crate) logins: bool,
    pub(crate) calls: AtomicU64,
    pub(crate) start: Instant,
    /// Milliseconds after the start at which a call failed last.
    pub(crate) failed: AtomicU64,
}

/// What the tasks saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) unavailable: u64,
    pub(crate) unknown: u64,
    pub(crate) slowest: Duration,
    pub(crate) messages: BTreeMap<String, u64>,
    /// Errors of a kind that an outage must not show.
    pub(crate) alien: Vec<String>,
    /// Replies that belong to another session.
    pub(crate) crossed: Vec<String>,
    /// Answers that do not fit what was acknowledged, by their session keys.
    pub(crate) odd: Vec<(String, String)>,
    pub(crate) accounts: Vec<Account>,
}

impl Load {
    /// Starts so many tasks; `naming` gives the n-th session key of a task.
    pub(crate) fn start(
        store: &Arc<RedisStore>,
        tasks: usize,
        logins: bool,
        naming: impl Fn(usize, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            store: Arc::clone(store),
            naming: Box::new(naming),
            stop: AtomicBool::new(false),
            logins,
            calls: AtomicU64::new(0),
            start: Instant::now(),
            failed: AtomicU64::new(0),
        });
        let tasks = (0..tasks)
            .map(|number| tokio::spawn(Task::new(number, Arc::clone(&shared)).run()))
            .collect();
        Self { tasks, shared }
    }

    /// Waits until so many more calls were made.
    pub(crate) async fn calls(&self, count: u64) {
        let goal = self.shared.calls.load(Ordering::Relaxed) + count;
        let start = Instant::now();
        while self.shared.calls.load(Ordering::Relaxed) < goal {
            assert!(start.elapsed() < Duration::from_mins(1), "the load stands still");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until for so long no call has failed, and tells how long after `since` the last one did.
    pub(crate) async fn calm(&self, quiet: Duration, since: Instant) -> Duration {
        let patience = Instant::now();
        loop {
            let failed = Duration::from_millis(self.shared.failed.load(Ordering::Relaxed));
            let failed = self.shared.start + failed;
            if failed.max(since).elapsed() >= quiet {
                return failed.saturating_duration_since(since);
            }
            assert!(
                patience.elapsed() < Duration::from_mins(1),
                "the store does not recover"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the load and gives what all tasks saw.
    pub(crate) async fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        for task in self.tasks {
            let one = task.await.expect("a task of the load ends well");
            all.calls += one.calls;
            all.unavailable += one.unavailable;
            all.unknown += one.unknown;
            all.slowest = all.slowest.max(one.slowest);
            for (message, count) in one.messages {
                *all.messages.entry(message).or_default() += count;
            }
            all.alien.extend(one.alien);
            all.crossed.extend(one.crossed);
            all.odd.extend(one.odd);
            all.accounts.extend(one.accounts);
        }
        all
    }
}

impl Report {
    /// What is not as it was acknowledged.
    pub(crate) async fn check(&self, store: &dyn SessionStore) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for account in &self.accounts {
            wrong.extend(account.check(store).await.expect("the store is well again"));
        }
        wrong
    }

    /// That every error was `Unavailable` and came in time, and every reply belonged to its call.
    pub(crate) fn assert_errors_are_honest(&self, within: Duration) {
        assert_eq!(self.alien, Vec::<String>::new(), "{:?}", self.messages);
        assert_eq!(self.crossed, Vec::<String>::new());
        assert!(
            self.slowest <= within,
            "a call took {:?}: {:?}",
            self.slowest,
            self.messages
        );
    }

    pub(crate) fn sessions(&self) -> usize {
        self.accounts.iter().map(|account| account.live.len()).sum()
    }
}
