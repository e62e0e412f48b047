//! A store on a Redis Cluster: slots that move, primaries that fail, nodes that are silent.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod failover;
mod moves;
mod renames;
mod scans;
mod seeds;

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use jam_test_servers::{Cluster, Kind};
use tokio::sync::{Mutex, MutexGuard};

/// Two clusters for all tests of this program, each for one test at a time.
static CLUSTERS: [Mutex<Option<Cluster>>; 2] = [const { Mutex::const_new(None) }; 2];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The cluster, well and at this test's disposal.
struct Stage(MutexGuard<'static, Option<Cluster>>);

impl Stage {
    async fn set() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % CLUSTERS.len();
        let mut stage = Self(CLUSTERS[number].lock().await);
        stage.0.get_or_insert_with(|| Cluster::start(Kind::New));
        stage.mend();
        for primary in stage.primaries() {
            primary.command(&["FLUSHALL"]);
        }
        stage
    }

    /// Brings back what a test has taken away.
    fn mend(&self) {
        for node in self.nodes() {
            node.resume();
            if !node.is_running() {
                node.restart();
            }
        }
        self.wait_until_ok();
    }

    /// A URL with every node.
    fn url(&self) -> String {
        support::cluster_url(self.nodes())
    }
}

impl Deref for Stage {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0.as_ref().expect("it was started")
    }
}

impl Drop for Stage {
    /// What a failed test leaves is of no use to the others.
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}
