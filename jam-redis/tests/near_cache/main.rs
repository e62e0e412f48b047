//! The near cache: what it saves, what it shows when, and that it is off where the server cannot tell.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/fake_sentinel.rs"]
mod fake_sentinel;

mod contract;
mod elsewhere;
mod faults;
mod hits;
mod nodes;
mod ways;

use std::time::{Duration, Instant};

use common::{id, payload, record};
use jam_core::{Load, RecordId, SessionStore};
use jam_redis::{RedisOptions, RedisStore};
use jam_test_servers::{Cluster, Server};

/// The bound of the tests; the default.
const BOUND: Duration = Duration::from_secs(1);
/// In which a message from the server arrives, on a machine that is busy.
const SOON: Duration = Duration::from_millis(700);

fn near(url: impl AsRef<str>) -> RedisOptions {
    RedisStore::options(url).near_cache(10_000)
}

/// The URL of a cluster, with all of its nodes.
fn cluster_url(cluster: &Cluster) -> String {
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    format!("redis+cluster://{}", nodes.join(","))
}

/// Whether somebody has a tracked connection to this server.
fn tracks(server: &Server) -> usize {
    let clients = server.command(&["CLIENT", "LIST"]);
    let flags = |line: &&str| {
        line.split(' ')
            .any(|part| part.starts_with("flags=") && part.contains('t'))
    };
    clients.text().lines().filter(flags).count()
}

/// Reads a session until it is kept, which the first reads are not: the connection for it opens meanwhile.
async fn warm(store: &RedisStore, server: &Server, id: &RecordId) {
    eventually("the connection is tracked", || async {
        drop(store.load(id, Load::new()).await);
        tokio::task::block_in_place(|| tracks(server)) > 0
    })
    .await;
    // Once more for each step of the way: the connection is there, the read is kept.
    for _ in 0..5 {
        drop(store.load(id, Load::new()).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until something is so, which has to be before long; how long it took.
async fn eventually<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) -> Duration {
    let since = Instant::now();
    while !is().await {
        assert!(since.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    since.elapsed()
}

/// Whether a read is answered although the server does not answer.
async fn is_kept(store: &RedisStore, server: &Server, id: &RecordId) -> bool {
    tokio::task::block_in_place(|| server.pause());
    let read = tokio::time::timeout(Duration::from_millis(100), store.load(id, Load::new())).await;
    tokio::task::block_in_place(|| server.resume());
    matches!(read, Ok(Ok(Some(_))))
}
