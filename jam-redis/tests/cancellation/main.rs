//! A call that is dropped at any point, or runs out of time, never lets another one see its reply.
//!
//! `JAM_TEST_CALLS=1000000` runs the long version; `JAM_TEST_SEED` begins with a turn that failed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod crowd;
mod runtimes;

use std::time::Duration;

use jam_redis::{RedisOptions, RedisStore};
use jam_test_servers::{Kind, Proxy, Server};
use jam_test_trials::Trials;

use crate::crowd::{Crowd, Patience};

/// How many calls are dropped in one turn.
const TURN: u64 = 5_000;

/// How many calls are dropped: `JAM_TEST_CALLS`, or a few. A trial is a turn of many calls.
fn calls(what: impl Into<String>) -> Trials {
    Trials::new(what, "JAM_TEST_CALLS", 20_000)
}

/// Without timeouts, whose errors would hide an answer.
fn patient(url: &str) -> RedisOptions {
    RedisStore::options(url).response_timeout(Duration::from_mins(1))
}

async fn dropped_calls_cross_no_replies(what: &str, kind: Kind) {
    let server = Server::start(kind);
    let store = patient(&server.url()).open().await.unwrap();
    let crowd = Crowd::gather(store).await;
    let mut trials = calls(format!("dropped calls, {what}"));
    while let Some(turn) = trials.next() {
        let seen = crowd.call(turn, TURN, Patience::Short).await;
        assert!(seen.dropped >= TURN && seen.right > TURN / 10, "{seen:?}");
        assert_eq!(seen.unavailable, 0, "{seen:?}");
        trials.more(TURN - 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_calls_cross_no_replies_of_an_old_server() {
    dropped_calls_cross_no_replies("old server", Kind::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_calls_cross_no_replies_of_a_new_server() {
    dropped_calls_cross_no_replies("new server", Kind::New).await;
}

/// Reads that are kept come over a connection of their own, and what came over it is given to many.
#[cfg(feature = "near-cache")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_calls_cross_no_replies_with_a_near_cache() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = patient(&server.url()).near_cache(10_000).open().await.unwrap();
        let crowd = Crowd::gather(store).await;
        let mut trials = calls(format!("dropped calls, near cache, {kind:?}"));
        while let Some(turn) = trials.next() {
            let seen = crowd.call(turn, TURN, Patience::Short).await;
            assert!(seen.dropped >= TURN && seen.right > TURN / 10, "{seen:?}");
            assert_eq!(seen.unavailable, 0, "{seen:?}");
            trials.more(TURN - 1);
        }
        let proxy = Proxy::start(server.address());
        proxy.split();
        // Few are kept, and those come and go.
        let path = patient(&proxy.url()).session_path("split").near_cache(20);
        let crowd = Crowd::gather(path.open().await.unwrap()).await;
        let seen = crowd.call(trials.first(), trials.wanted() / 20, Patience::Short).await;
        assert!(seen.right > 0 && seen.unavailable == 0, "{seen:?}");
    }
}

/// On one thread tasks run in another order.
#[tokio::test]
async fn dropped_calls_cross_no_replies_on_a_single_thread() {
    dropped_calls_cross_no_replies("single thread", Kind::New).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_calls_cross_no_replies_that_come_late_and_in_pieces() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        for split in [true, false] {
            let proxy = Proxy::start(server.address());
            let store = patient(&proxy.url()).session_path(format!("split-{split}")).open();
            let crowd = Crowd::gather(store.await.unwrap()).await;
            if split {
                proxy.split();
            } else {
                proxy.delay(Duration::ZERO..=Duration::from_millis(2));
            }
            let trials = calls("dropped calls, replies late or in pieces");
            let seen = crowd.call(trials.first(), trials.wanted() / 20, Patience::Short).await;
            assert!(seen.right > 0 && seen.unavailable == 0, "{seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn late_replies_to_calls_that_timed_out_are_nobody_elses() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let timeout = Duration::from_millis(50);
        Crowd::fill(&RedisStore::open(server.url()).await.unwrap()).await;
        let store = RedisStore::options(server.url()).response_timeout(timeout).open();
        let crowd = Crowd::around(store.await.unwrap());
        let pauses = async {
            for round in 0..10 {
                tokio::task::block_in_place(|| server.pause());
                tokio::time::sleep(timeout / 2 * (round % 4)).await;
                tokio::task::block_in_place(|| server.resume());
                tokio::time::sleep(timeout).await;
            }
        };
        let trials = calls("calls that time out");
        let calling = crowd.call(trials.first(), trials.wanted() / 20, Patience::UntilToldOtherwise);
        let (seen, ()) = tokio::join!(calling, pauses);
        assert!(seen.right > 0 && seen.unavailable > 0, "{seen:?}");
    }
}
